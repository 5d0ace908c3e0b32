//! `ReplayLayer` and `IntoBodyLayer` over an inner service.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use replay_body::{IntoBodyLayer, Replay, ReplayBody, ReplayLayer};
use test_support::{BodyError, NotUnpin, Steps, Upstream, ok};
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};

use crate::support::{Read, read, trailers};

/// Sends the body through the layer, and returns what the inner service was given: whether it was
/// complete on arrival, what it yielded, and what could be replayed afterwards.
async fn pass<B>(cap: usize, body: B) -> (bool, Read<B::Error>, Option<Bytes>)
where
    B: http_body::Body<Data = Bytes> + 'static,
    B::Error: std::fmt::Debug,
{
    let inner = service_fn(|request: Request<ReplayBody<B>>| async {
        let body = request.into_body();
        let kept = body.keep();
        let complete = body.is_complete();
        let read = read(body, false).await;
        let again = kept.replay().and_then(|body| body.bytes());
        Ok::<_, BodyError>((complete, read, again))
    });
    let client = ReplayLayer::new(cap).layer(inner);
    client.oneshot(Request::new(body)).await.unwrap()
}

#[tokio::test]
async fn collects_a_body_of_known_size_up_to_the_cap() {
    let body = || Steps::every_byte("hello").stating_its_size();
    let (complete, read, again) = pass(5, body()).await;
    assert!(complete);
    assert_eq!(read.data, b"hello");
    assert_eq!(again.unwrap(), "hello");

    let (complete, read, again) = pass(4, body()).await;
    assert!(!complete);
    assert_eq!(read.data, b"hello");
    assert_eq!(again, None);
}

#[tokio::test]
async fn records_a_body_of_unknown_size_as_it_flows() {
    let (complete, read, again) = pass(5, Steps::every_byte("hello")).await;
    assert!(!complete);
    assert_eq!(read.data, b"hello");
    assert_eq!(again.unwrap(), "hello");

    let (_, read, again) = pass(4, Steps::every_byte("hello")).await;
    assert_eq!(read.data, b"hello");
    assert_eq!(again, None);
}

#[tokio::test]
async fn keeps_the_trailers_of_a_collected_body() {
    let body = Steps::new().data("a").trailers(trailers()).stating(1);
    let (complete, read, again) = pass(5, body).await;
    assert!(complete && again.is_some());
    assert_eq!(read.trailers, Some(trailers()));
}

#[tokio::test]
async fn an_error_met_while_collecting_reaches_the_inner_service_as_the_bodys() {
    let body = Steps::new().data("half").error("reset").stating(20);
    let (complete, read, again) = pass(100, body).await;
    assert!(!complete);
    assert_eq!(read.data, b"half");
    assert_eq!(read.error, Some(BodyError("reset")));
    assert_eq!(again, None);
}

#[tokio::test]
async fn passes_on_all_of_a_body_that_stated_less() {
    let body = NotUnpin::new(Steps::new().data("hello").data("world").stating(3));
    let (_, read, again) = pass(4, body).await;
    assert_eq!(read.data, b"helloworld");
    assert_eq!(again.unwrap(), "helloworld");
}

#[tokio::test(start_paused = true)]
async fn sends_on_at_once_what_it_does_not_collect() {
    let upstream = Upstream::new([ok(), ok()]);
    let client = ReplayLayer::new(100).layer(upstream.clone());
    let slow = || Steps::new().wait(Duration::from_secs(3)).data("x");

    let start = Instant::now();
    client.clone().oneshot(Request::new(slow())).await.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
    let known = Request::new(slow().stating_its_size());
    client.oneshot(known).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(3));

    let bodies: Vec<_> = upstream
        .take_requests()
        .into_iter()
        .map(Request::into_body)
        .collect();
    assert_eq!(bodies, [None, Some(Bytes::from("x"))]);
}

#[tokio::test]
async fn keeps_the_head_of_the_request() {
    let upstream = Upstream::new([ok()]);
    let client = ReplayLayer::new(100).layer(upstream.clone());
    let request = Request::post("/v1/chat")
        .header("x-one", "1")
        .extension(7_u8)
        .body(Steps::new().data("x").stating_its_size())
        .unwrap();
    client.oneshot(request).await.unwrap();

    let seen = upstream.take_requests().remove(0);
    assert_eq!(seen.method(), "POST");
    assert_eq!(seen.uri(), "/v1/chat");
    assert_eq!(seen.headers()["x-one"], "1");
    assert_eq!(seen.extensions().get::<u8>(), Some(&7));
}

#[tokio::test]
async fn turns_the_body_into_another_at_the_bottom() {
    type Boxed = http_body_util::combinators::UnsyncBoxBody<Bytes, std::convert::Infallible>;
    // The type of the stack can be named, as a field of a struct needs it.
    type Into = IntoBodyLayer<fn(Full<Bytes>) -> Boxed>;

    let echo = service_fn(|request: Request<Boxed>| async {
        let body = request.into_body().collect().await?.to_bytes();
        Ok::<_, std::convert::Infallible>(Response::new(body))
    });
    let layer: Into = IntoBodyLayer::new(Boxed::new);
    let request = Request::new(Full::from("hello"));
    let response = layer.layer(echo).oneshot(request).await.unwrap();
    assert_eq!(response.into_body(), "hello");
}
