//! Tests through the public API, in one binary.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bench;
mod chain;
mod contract;
mod failure;
mod order;
mod patience;
mod rewrite;
mod streams;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use test_support::{Seen, Upstream};
use throttle_signal::{Classified, Kind, Throttle};

type Body = Full<Bytes>;

fn request() -> Request<Body> {
    Request::post("https://api.example.com/v1/chat/completions")
        .header("content-type", "application/json")
        .body(Full::from(r#"{"model":"max","messages":[]}"#))
        .unwrap()
}

/// The model a request asks for.
fn model(seen: &Seen) -> String {
    let body: serde_json::Value = serde_json::from_slice(seen.body().as_ref().unwrap()).unwrap();
    body["model"].as_str().unwrap().to_owned()
}

/// The models that were asked, in order, since the last time.
fn models<R>(upstream: &Upstream<R>) -> String {
    upstream
        .take_requests()
        .iter()
        .map(model)
        .collect::<Vec<_>>()
        .join(" ")
}

/// A response somebody below has read as this refusal.
fn refused(throttle: Throttle) -> Response<Body> {
    let mut response = Response::new(Full::from(format!("refused: {}", throttle.kind())));
    *response.status_mut() = match throttle.kind() {
        Kind::Credential => StatusCode::UNAUTHORIZED,
        Kind::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::TOO_MANY_REQUESTS,
    };
    response.extensions_mut().insert(Classified(Some(throttle)));
    response
}
