use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body::Body;
use replay_body::PeekBody;
use serde_json::json;

use crate::{Classified, Kind, Throttle, Trail};

/// How a refusal of our own is put: like the upstream's, so that clients need no new code.
///
/// By default a `429` with OpenAI's error envelope, `Retry-After` in whole seconds rounded up and
/// the exact `retry-after-ms`; for gRPC a trailers-only `RESOURCE_EXHAUSTED` with
/// `grpc-retry-pushback-ms`, or -1 there when waiting does not help. It is a response, never an
/// error, and carries its [`Throttle`] in [`Classified`].
#[derive(Clone, Default)]
pub struct Envelope {
    write: Option<Arc<Write>>,
}

type Write = dyn Fn(&Throttle) -> Response<Bytes> + Send + Sync;

impl Envelope {
    /// Creates the default envelope.
    #[must_use]
    pub const fn new() -> Self {
        Self { write: None }
    }

    /// Creates an envelope that `write` fills: status, headers and body of a plain HTTP refusal.
    ///
    /// `Retry-After`, `retry-after-ms` and the extensions are added where `write` leaves them out.
    /// Refusals of gRPC calls do not ask it.
    pub fn with_fn(write: impl Fn(&Throttle) -> Response<Bytes> + Send + Sync + 'static) -> Self {
        Self {
            write: Some(Arc::new(write)),
        }
    }

    /// Answers with `throttle` instead of sending; `request_headers` tell gRPC from plain HTTP.
    #[must_use]
    pub fn refuse<B>(
        &self,
        throttle: Throttle,
        request_headers: &HeaderMap,
    ) -> Response<PeekBody<B>>
    where
        B: Body,
    {
        let mut response = if is_grpc(request_headers) {
            trailers_only(&throttle)
        } else {
            let plain = match &self.write {
                Some(write) => write(&throttle),
                None => openai(&throttle),
            };
            let mut plain = plain.map(PeekBody::full);
            add_waits(plain.headers_mut(), &throttle);
            plain
        };
        let mut trail = Trail::unsent();
        trail.account = throttle.account().cloned();
        trail.key = throttle.key().cloned();
        trail.model = throttle.model().cloned();
        response.extensions_mut().insert(trail);
        response.extensions_mut().insert(Classified(Some(throttle)));
        response
    }
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.write.is_some() {
            "Envelope(fn)"
        } else {
            "Envelope"
        })
    }
}

/// Whether a message is gRPC's, by its content type.
#[must_use]
pub fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// Puts the wait that is known by now into a refusal's headers, in place of what it said: `Retry-After` in
/// whole seconds rounded up and the exact `retry-after-ms`, or `grpc-retry-pushback-ms` for gRPC.
pub fn set_retry_after(headers: &mut HeaderMap, wait: Duration) {
    let ms = millis_up(wait);
    if is_grpc(headers) {
        headers.insert("grpc-retry-pushback-ms", ms.into());
    } else {
        headers.insert(RETRY_AFTER, ms.div_ceil(1000).into());
        headers.insert("retry-after-ms", ms.into());
    }
}

fn openai(throttle: &Throttle) -> Response<Bytes> {
    let (status, code) = match throttle.kind() {
        Kind::Credential => (StatusCode::UNAUTHORIZED, "invalid_api_key"),
        Kind::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "overloaded"),
        Kind::QuotaExhausted => (StatusCode::TOO_MANY_REQUESTS, "insufficient_quota"),
        _ => (StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded"),
    };
    let body = json!({"error": {
        "message": throttle.to_string(),
        "type": throttle.kind().as_str(),
        "param": null,
        "code": code,
    }});
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let length = response.body().len();
    response.headers_mut().insert(CONTENT_LENGTH, length.into());
    response
}

fn add_waits(headers: &mut HeaderMap, throttle: &Throttle) {
    if let Some(wait) = throttle.wait().known() {
        let ms = millis_up(wait);
        headers
            .entry(RETRY_AFTER)
            .or_insert_with(|| ms.div_ceil(1000).into());
        headers.entry("retry-after-ms").or_insert_with(|| ms.into());
    }
}

fn trailers_only<B>(throttle: &Throttle) -> Response<PeekBody<B>>
where
    B: Body,
{
    let mut response = Response::new(PeekBody::empty());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    let code = match throttle.kind() {
        Kind::Credential => 16,
        Kind::Overloaded => 14,
        _ => 8,
    };
    headers.insert("grpc-status", code.into());
    if let Ok(message) = HeaderValue::try_from(percent_encoded(&throttle.to_string())) {
        headers.insert("grpc-message", message);
    }
    let pushback = match throttle.wait().known() {
        _ if !throttle.retry() => Some(HeaderValue::from_static("-1")),
        Some(wait) => Some(millis_up(wait).into()),
        None => None,
    };
    if let Some(pushback) = pushback {
        headers.insert("grpc-retry-pushback-ms", pushback);
    }
    response
}

/// `grpc-message` is percent-encoded: printable ASCII but `%` stands for itself (gRPC over HTTP/2).
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'$' | b'&'..=b'~' => encoded.push(char::from(byte)),
            _ => encoded.extend(['%', hex(byte >> 4), hex(byte & 15)]),
        }
    }
    encoded
}

fn hex(nibble: u8) -> char {
    char::from_digit(u32::from(nibble), 16).map_or('0', |digit| digit.to_ascii_uppercase())
}

/// Whole milliseconds, rounded up: a client that takes them at their word is not early.
fn millis_up(wait: Duration) -> u64 {
    u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use http_body::Body;
    use http_body_util::Full;

    use super::*;
    use crate::Wait;

    fn throttle() -> Throttle {
        Throttle::new(Kind::RequestRate).with_wait(Wait::Stated(Duration::from_micros(1_200_300)))
    }

    #[test]
    fn states_the_wait_rounded_up() {
        let response: Response<PeekBody<Full<Bytes>>> =
            Envelope::new().refuse(throttle(), &HeaderMap::new());
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()["retry-after"], "2");
        assert_eq!(response.headers()["retry-after-ms"], "1201");
        assert_eq!(
            Classified::throttle(response.extensions()),
            Some(&throttle())
        );
    }

    #[test]
    fn answers_grpc_with_trailers_only() {
        let mut headers = HeaderMap::new();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/grpc+proto"),
        );
        let response: Response<PeekBody<Full<Bytes>>> =
            Envelope::new().refuse(throttle(), &headers);
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["grpc-status"], "8");
        assert_eq!(response.headers()["grpc-retry-pushback-ms"], "1201");
        assert!(response.body().is_end_stream());

        let response: Response<PeekBody<Full<Bytes>>> =
            Envelope::new().refuse(throttle().with_retry(false), &headers);
        assert_eq!(response.headers()["grpc-retry-pushback-ms"], "-1");
    }

    #[test]
    fn keeps_what_a_user_writes() {
        let envelope = Envelope::with_fn(|throttle| {
            let mut response = Response::new(Bytes::from(throttle.kind().as_str()));
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            response.headers_mut().insert(RETRY_AFTER, 9.into());
            response
        });
        let response: Response<PeekBody<Full<Bytes>>> =
            envelope.refuse(throttle(), &HeaderMap::new());
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()["retry-after"], "9");
        assert_eq!(response.headers()["retry-after-ms"], "1201");
    }
}
