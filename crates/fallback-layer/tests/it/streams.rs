//! Streams are held to their first event, and never repeated after it.

use std::time::Duration;

use bytes::Bytes;
use fallback_layer::{Candidate, FallbackLayer, Triggers};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use test_support::{Steps, Upstream, event};
use throttle_signal::Reader;
use tokio::time::Instant;
use tower::{Layer, ServiceExt};

use crate::models;

const SECOND: Duration = Duration::from_secs(1);
const ERROR: &str = r#"{"error":{"message":"Rate limit reached","type":"rate_limit_error","code":"rate_limit_exceeded"}}"#;
const DELTA: &str = r#"{"choices":[{"index":0,"delta":{"content":"Hi"}}]}"#;

fn layer() -> FallbackLayer {
    FallbackLayer::new([Candidate::model("max"), Candidate::model("plus")]).reader(Reader::new())
}

fn request() -> Request<Full<Bytes>> {
    let mut request = crate::request();
    *request.body_mut() = Full::from(r#"{"model":"max","stream":true}"#);
    request
}

fn stream(body: Steps) -> Response<Steps> {
    let mut response = Response::new(body);
    response.headers_mut().insert(
        "content-type",
        HeaderValue::from_static("text/event-stream"),
    );
    response
}

#[tokio::test(start_paused = true)]
async fn an_error_in_place_of_the_first_event_goes_on() {
    let upstream = Upstream::new([
        stream(Steps::new().data(": keep-alive\n\n").data(event(ERROR))),
        stream(Steps::new().data(event(DELTA)).data(event("[DONE]"))),
    ]);
    let service = layer().layer(upstream);
    let response = service.clone().oneshot(request()).await.unwrap();
    assert_eq!(response.headers()["x-fallback-candidate"], "plus");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, event(DELTA) + &event("[DONE]"));
    assert_eq!(models(service.get_ref()), "max plus");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_repeated_after_the_first_event() {
    let upstream = Upstream::new([stream(Steps::new().data(event(DELTA)).error("reset"))]);
    let service = layer().layer(upstream);
    let response = service.clone().oneshot(request()).await.unwrap();
    assert_eq!(response.headers()["x-fallback-candidate"], "max");
    let mut body = response.into_body();
    assert_eq!(
        body.frame().await.unwrap().unwrap().into_data().unwrap(),
        event(DELTA)
    );
    assert_eq!(body.frame().await.unwrap().unwrap_err().0, "reset");
    assert_eq!(models(service.get_ref()), "max");
}

#[tokio::test(start_paused = true)]
async fn an_error_within_a_stream_goes_through_and_the_stream_ends() {
    for candidates in [1, 2] {
        let chain = [Candidate::model("max"), Candidate::model("plus")];
        let layer = FallbackLayer::try_new(chain.into_iter().take(candidates)).unwrap();
        let body = Steps::new().data(event(DELTA)).data(event(ERROR));
        let service = layer.layer(Upstream::new([stream(body)]));
        let response = service.clone().oneshot(request()).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, event(DELTA) + &event(ERROR));
        assert_eq!(models(service.get_ref()), "max");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_held_no_longer_than_to_its_first_event() {
    let body = Steps::new()
        .wait(SECOND)
        .data(event(DELTA))
        .wait(60 * SECOND)
        .data(event("[DONE]"));
    let service = layer().layer(Upstream::new([stream(body)]));
    let start = Instant::now();
    service.oneshot(request()).await.unwrap();
    assert_eq!(start.elapsed(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_first_event_that_does_not_come_goes_on() {
    let layer = FallbackLayer::new([
        Candidate::model("max").first_byte(3 * SECOND),
        Candidate::model("plus"),
    ]);
    let upstream = Upstream::new([
        stream(Steps::new().data(": keep-alive\n\n").never()),
        stream(Steps::new().data(event(DELTA))),
    ]);
    let service = layer.layer(upstream);
    let start = Instant::now();
    let response = service.clone().oneshot(request()).await.unwrap();
    assert_eq!(response.headers()["x-fallback-candidate"], "plus");
    assert_eq!(start.elapsed(), 3 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_slow_but_alive_is_not_cut() {
    let layer = FallbackLayer::new([
        Candidate::model("max").first_byte(3 * SECOND),
        Candidate::model("plus"),
    ]);
    let body = (0..5).fold(Steps::new(), |body, _| {
        body.data(event(DELTA)).wait(60 * SECOND)
    });
    let response = layer
        .layer(Upstream::new([stream(body)]))
        .oneshot(request())
        .await
        .unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, event(DELTA).repeat(5));
}

#[tokio::test(start_paused = true)]
async fn a_stall_behind_comments_and_announcements_goes_on() {
    let role = r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#;
    let begun = Steps::new()
        .data("event: ping\ndata: {\"type\": \"ping\"}\n\n")
        .wait(SECOND)
        .data(event(role))
        .wait(SECOND)
        .data(": keep-alive\n\n");
    let layer = FallbackLayer::new([
        Candidate::model("max").first_byte(3 * SECOND),
        Candidate::model("plus"),
    ]);
    let upstream = Upstream::new([
        stream(begun.never()),
        stream(Steps::new().data(event(DELTA))),
    ]);
    let start = Instant::now();
    let response = layer.layer(upstream).oneshot(request()).await.unwrap();
    assert_eq!(response.headers()["x-fallback-candidate"], "plus");
    assert_eq!(start.elapsed(), 3 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_stall_after_the_first_event_ends_the_stream_with_an_error_if_asked_to() {
    let layer = FallbackLayer::new([Candidate::model("max").stall(30 * SECOND)]);
    let body = Steps::new()
        .data(event(DELTA))
        .wait(29 * SECOND)
        .data(": keep-alive\n\n")
        .wait(29 * SECOND)
        .data(event(DELTA))
        .never();
    let service = layer.layer(Upstream::new([stream(body)]));
    let start = Instant::now();
    let response = service.oneshot(request()).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(start.elapsed(), 88 * SECOND);
    let text = std::str::from_utf8(&body).unwrap();
    let (before, last) = text.split_once("event: error\ndata: ").unwrap();
    assert_eq!(before.matches("\"Hi\"").count(), 2);
    let error: serde_json::Value = serde_json::from_str(last.trim()).unwrap();
    assert_eq!(error["error"]["code"], "stream_stalled");
    assert!(error["error"]["message"].as_str().unwrap().contains("30s"));
    assert!(!text.contains("[DONE]"));
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_no_stall_and_what_is_no_stream_is_not_cut() {
    let layer = FallbackLayer::new([Candidate::model("max").stall(SECOND)]);
    let events = Steps::new()
        .data(event(DELTA))
        .wait(SECOND / 2)
        .data(event("[DONE]"));
    let answer = Response::new(Steps::new().data("an").wait(5 * SECOND).data("swer"));
    let service = layer.layer(Upstream::new([stream(events), answer]));
    let mut body = service
        .clone()
        .oneshot(request())
        .await
        .unwrap()
        .into_body();
    body.frame().await.unwrap().unwrap();
    tokio::time::sleep(60 * SECOND).await; // busy with the first event
    let rest = body.collect().await.unwrap().to_bytes();
    assert_eq!(rest, event("[DONE]"));

    let whole = service.oneshot(request()).await.unwrap().into_body();
    assert_eq!(whole.collect().await.unwrap().to_bytes(), "answer");
}

#[tokio::test(start_paused = true)]
async fn holding_can_be_switched_off() {
    let upstream = Upstream::new([stream(Steps::new().never())]);
    let service = layer()
        .triggers(Triggers::new().first_event(false))
        .layer(upstream);
    let response = service.oneshot(request()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn an_encoded_stream_is_not_ended_with_an_event_nobody_can_read() {
    let layer = FallbackLayer::new([Candidate::model("max").stall(SECOND)]);
    let mut response = stream(Steps::new().data("a").wait(5 * SECOND).data("b"));
    response
        .headers_mut()
        .insert("content-encoding", HeaderValue::from_static("gzip"));
    let service = layer.layer(Upstream::new([response]));
    let whole = service.oneshot(request()).await.unwrap().into_body();
    assert_eq!(whole.collect().await.unwrap().to_bytes(), "ab");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_may_get_one_event_more_states_no_length() {
    let layer = FallbackLayer::new([Candidate::model("max").stall(SECOND)]);
    let mut response = stream(Steps::new().data(event(DELTA)).never());
    response
        .headers_mut()
        .insert("content-length", HeaderValue::from_static("1000"));
    let service = layer.layer(Upstream::new([response]));
    let response = service.oneshot(request()).await.unwrap();
    assert!(!response.headers().contains_key("content-length"));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_only_announces_an_answer_is_not_held_for_ever() {
    // A client that hears nothing for long gives up; what keeps it waiting is handed on.
    let body = (0..20).fold(Steps::new(), |body, _| {
        body.data(": keep-alive\n\n").wait(10 * SECOND)
    });
    let upstream = Upstream::new([stream(body.data(event(DELTA)))]);
    let start = Instant::now();
    let response = layer().layer(upstream).oneshot(request()).await.unwrap();
    assert_eq!(start.elapsed(), 60 * SECOND);
    assert_eq!(response.headers()["x-fallback-candidate"], "max");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let text = std::str::from_utf8(&body).unwrap();
    assert_eq!(text.matches("keep-alive").count(), 20);
    assert!(text.ends_with(&event(DELTA)));
}

#[tokio::test(start_paused = true)]
async fn a_longer_time_for_the_first_event_is_kept() {
    let layer = FallbackLayer::new([
        Candidate::model("max").first_byte(120 * SECOND),
        Candidate::model("plus"),
    ]);
    let body = (0..20).fold(Steps::new(), |body, _| {
        body.data(": keep-alive\n\n").wait(10 * SECOND)
    });
    let upstream = Upstream::new([stream(body), stream(Steps::new().data(event(DELTA)))]);
    let start = Instant::now();
    let response = layer.layer(upstream).oneshot(request()).await.unwrap();
    assert_eq!(start.elapsed(), 120 * SECOND);
    assert_eq!(response.headers()["x-fallback-candidate"], "plus");
}
