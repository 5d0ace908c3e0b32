//! What several of the tests need.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use rate_limit_layer::{Limiter, RateLimit, RateLimitLayer, ResponseBody};
use test_support::{Upstream, UpstreamError};
use tokio::task::JoinHandle;
use tower::{Layer, ServiceExt};

pub(crate) type Body = Full<Bytes>;
pub(crate) type Answered = Result<Response<ResponseBody<Body>>, UpstreamError>;

pub(crate) fn service(limiter: &Limiter, upstream: &Upstream) -> RateLimit<Upstream> {
    RateLimitLayer::new(limiter.clone()).layer(upstream.clone())
}

pub(crate) fn request() -> Request<Body> {
    Request::new(Full::default())
}

/// A chat request for this model, with a prompt of about so many tokens.
pub(crate) fn chat(model: &str, tokens: usize) -> Request<Body> {
    let head = format!(r#"{{"model":"{model}","messages":""#);
    let text = "x".repeat((tokens * 4).saturating_sub(head.len() + 2));
    Request::new(Full::from(format!(r#"{head}{text}"}}"#)))
}

/// Sends a request in a task of its own.
pub(crate) fn send(service: &RateLimit<Upstream>, request: Request<Body>) -> JoinHandle<Answered> {
    tokio::spawn(service.clone().oneshot(request))
}

/// Lets every task run, and at most so many milliseconds pass.
pub(crate) async fn pass(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
