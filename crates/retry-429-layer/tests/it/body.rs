//! Bodies that are sent again, and those that cannot be.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body::Frame;
use http_body_util::Full;
use replay_body::{Replay, ReplayLayer};
use test_support::{Steps, Upstream, ok, throttled_for};
use tower::{Layer, ServiceBuilder, ServiceExt};

use crate::{layer, request};

#[tokio::test(start_paused = true)]
async fn sends_the_same_request_again() {
    let upstream = Upstream::new([throttled_for(1), ok()]);
    let request = Request::builder()
        .method(Method::POST)
        .uri("https://api.example/v1/things?limit=1")
        .header("x-request-id", "42")
        .body(Full::from("payload"))
        .unwrap();
    layer()
        .layer(upstream.clone())
        .oneshot(request)
        .await
        .unwrap();

    let [first, second] = upstream.take_requests().try_into().unwrap();
    assert_eq!(first.method(), second.method());
    assert_eq!(first.uri(), second.uri());
    assert_eq!(first.headers(), second.headers());
    assert_eq!(first.body(), second.body());
    assert_eq!(second.body().as_deref(), Some(&b"payload"[..]));
}

/// A body that can be sent once.
struct Once;

impl http_body::Body for Once {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(None)
    }
}

impl Replay for Once {
    fn replay(&self) -> Option<Self> {
        None
    }

    fn bytes(&self) -> Option<Bytes> {
        None
    }
}

#[tokio::test(start_paused = true)]
async fn passes_the_answer_on_when_the_body_cannot_be_sent_again() {
    let upstream = Upstream::new([throttled_for(1)]);
    let response = layer()
        .layer(upstream.clone())
        .oneshot(Request::new(Once))
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(upstream.arrivals(), [0]);
}

#[tokio::test(start_paused = true)]
async fn retries_any_body_behind_a_replay_layer() {
    let upstream = Upstream::new([throttled_for(1), ok()]);
    let client = ServiceBuilder::new()
        .layer(ReplayLayer::new(1024))
        .layer(layer())
        .service(upstream.clone());
    let body = Steps::new().data("pay").data("load").stating_its_size();
    client.oneshot(Request::new(body)).await.unwrap();
    let seen = upstream.take_requests();
    assert_eq!(seen[1].body().as_deref(), Some(&b"payload"[..]));
}

#[tokio::test(start_paused = true)]
async fn judges_a_refusal_whose_body_never_ends_by_what_has_come() {
    let stuck = || throttled_for(7).map(|_| Steps::new().data("{\"error\":").never());
    let done = ok().map(|_| Steps::new());
    let upstream = Upstream::new([stuck(), done]);
    let response = layer()
        .layer(upstream.clone())
        .oneshot(request())
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(upstream.arrivals(), [0, 12_000]); // 5 s of patience, then the wait
}
