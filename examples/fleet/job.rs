use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::Full;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tower::ServiceExt;

use crate::stack::Stack;

/// Whose quota it is.
pub(crate) const ACCOUNT: &str = "ours";
pub(crate) const KEY: &str = "sk-fleet";
pub(crate) const MODEL: &str = "qwen3-max";

const BODY: &str = r#"{"model":"qwen3-max","max_tokens":8,"messages":[{"role":"user","content":"Name a river."}]}"#;
const BEARER: HeaderValue = HeaderValue::from_static("Bearer sk-fleet");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What became of a job.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Done {
    /// When it was first sent, from the start of the demand; if never, when it was given up.
    pub(crate) sent: Duration,
    /// From when it came up until then.
    pub(crate) waited: Duration,
    pub(crate) answered: bool,
}

/// When a job was first sent, in the extensions of its request.
#[derive(Clone, Debug, Default)]
struct FirstSent(Arc<OnceLock<Instant>>);

/// Notes the time of the first of a job's requests that gets this far down.
pub(crate) fn mark_as_sent(request: Request<Full<Bytes>>) -> Request<Full<Bytes>> {
    if let Some(first) = request.extensions().get::<FirstSent>() {
        first.0.get_or_init(Instant::now);
    }
    request
}

/// Brings a job that comes up now to its end.
pub(crate) async fn work(stack: Stack, uri: Uri, start: Instant) -> Done {
    let born = Instant::now();
    let first = FirstSent::default();
    let mut request = Request::new(Full::from(BODY));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    request.headers_mut().insert(AUTHORIZATION, BEARER);
    request.headers_mut().insert(CONTENT_TYPE, JSON);
    request.extensions_mut().insert(first.clone());

    let answer = stack.oneshot(request).await;
    let answered = answer.is_ok_and(|answer| answer.status() == StatusCode::OK);
    let sent = first.0.get().copied().unwrap_or_else(Instant::now);
    Done {
        sent: sent - start,
        waited: sent - born,
        answered,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_names_the_model_and_the_key_that_are_limited() {
        let body: serde_json::Value = serde_json::from_str(BODY).unwrap();
        assert_eq!(body["model"], MODEL);
        assert_eq!(BEARER, format!("Bearer {KEY}"));
    }
}
