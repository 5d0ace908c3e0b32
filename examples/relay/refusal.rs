use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::json;

/// Tells clients of OpenAI whether to send again.
pub(crate) const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
pub(crate) const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// Why the relay itself does not answer a request, in the form clients of OpenAI understand.
#[derive(Debug)]
pub(crate) enum Refusal {
    WrongKey,
    UnknownPath,
    WrongMethod,
    BadJson(serde_json::Error),
    NoModel,
    UnknownModel(String),
    NotForThisKey(String),
    TooLarge(usize),
    TooSlow,
    Unread,
    /// The caller has more requests a minute than it may; for so long.
    TooFast(Duration),
    TooManyAtOnce(usize),
    /// The upstream could not be reached, however often it was tried.
    Unreachable(String),
    /// The upstream broke off before it answered.
    Broken(String),
    /// There was no answer by the deadline.
    TooLate(Duration),
    /// The relay has made a mistake.
    Ours,
}

impl Refusal {
    /// The word for it in logs and metrics, which is also the `code` of the error.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::WrongKey => "invalid_api_key",
            Self::UnknownPath => "unknown_url",
            Self::WrongMethod => "method_not_allowed",
            Self::BadJson(_) => "invalid_json",
            Self::NoModel => "missing_model",
            Self::UnknownModel(_) => "model_not_found",
            Self::NotForThisKey(_) => "model_not_allowed",
            Self::TooLarge(_) => "request_too_large",
            Self::TooSlow => "request_timeout",
            Self::Unread => "request_incomplete",
            Self::TooFast(_) => "rate_limit_exceeded",
            Self::TooManyAtOnce(_) => "too_many_concurrent_requests",
            Self::Unreachable(_) => "upstream_unreachable",
            Self::Broken(_) => "upstream_broken",
            Self::TooLate(_) => "upstream_timeout",
            Self::Ours => "internal_error",
        }
    }

    const fn status(&self) -> StatusCode {
        match self {
            Self::WrongKey => StatusCode::UNAUTHORIZED,
            Self::UnknownPath | Self::UnknownModel(_) => StatusCode::NOT_FOUND,
            Self::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::BadJson(_) | Self::NoModel | Self::Unread => StatusCode::BAD_REQUEST,
            Self::NotForThisKey(_) => StatusCode::FORBIDDEN,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::TooFast(_) | Self::TooManyAtOnce(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Unreachable(_) | Self::Broken(_) => StatusCode::BAD_GATEWAY,
            Self::TooLate(_) => StatusCode::GATEWAY_TIMEOUT,
            Self::Ours => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn message(&self) -> Cow<'static, str> {
        match self {
            Self::WrongKey => "The API key is missing or wrong. Send one of this relay's keys as \
                 `Authorization: Bearer KEY`."
                .into(),
            Self::UnknownPath => "There is no such endpoint here.".into(),
            Self::WrongMethod => "This endpoint takes another method.".into(),
            Self::BadJson(error) => format!("The body is not JSON: {error}.").into(),
            Self::NoModel => "The body must be a JSON object that names a `model`.".into(),
            Self::UnknownModel(model) => format!(
                "The model `{model}` does not exist here. GET /v1/models lists those that do."
            )
            .into(),
            Self::NotForThisKey(model) => {
                format!("This API key may not use the model `{model}`.").into()
            }
            Self::TooLarge(most) => format!("The body is longer than {most} bytes.").into(),
            Self::TooSlow => "The body did not come in time.".into(),
            Self::Unread => "The body broke off.".into(),
            Self::TooFast(wait) => {
                let seconds = wait.as_secs_f64();
                format!("This API key sends too many requests a minute. Wait {seconds:.3} s.")
                    .into()
            }
            Self::TooManyAtOnce(most) => {
                format!("This API key may have {most} requests open at once.").into()
            }
            Self::Unreachable(why) => format!("The upstream cannot be reached: {why}.").into(),
            Self::Broken(why) => format!("The upstream broke off: {why}.").into(),
            Self::Ours => "The relay made a mistake; its log has more.".into(),
            Self::TooLate(within) => {
                format!("The upstream did not answer within {} s.", within.as_secs()).into()
            }
        }
    }

    /// Puts it as a response.
    pub(crate) fn response(&self) -> Response<Bytes> {
        let status = self.status();
        let kind = match status {
            StatusCode::UNAUTHORIZED => "authentication_error",
            StatusCode::FORBIDDEN => "permission_error",
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request_error",
        };
        let param = matches!(
            self,
            Self::NoModel | Self::UnknownModel(_) | Self::NotForThisKey(_)
        );
        let body = json!({"error": {
            "message": self.message(),
            "type": kind,
            "param": param.then_some("model"),
            "code": self.code(),
        }});
        let mut response = Response::new(Bytes::from(body.to_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Self::TooFast(wait) = self {
            let ms = millis_up(*wait);
            headers.insert(RETRY_AFTER, ms.div_ceil(1000).into());
            headers.insert(RETRY_AFTER_MS, ms.into());
        }
        // The relay has tried for as long as it may: its caller need not begin anew.
        if matches!(
            self,
            Self::Unreachable(_) | Self::Broken(_) | Self::TooLate(_)
        ) {
            headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
        }
        response
    }
}

/// Whole milliseconds, rounded up: a client that takes them at their word is not early.
pub(crate) fn millis_up(wait: Duration) -> u64 {
    u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
