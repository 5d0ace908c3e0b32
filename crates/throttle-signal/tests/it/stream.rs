//! Reading a stream: how far it is held, and for whom.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request};
use http_body_util::{BodyExt, Full};
use test_support::Steps;
use throttle_signal::{Kind, Reader, RequestFacts};
use tokio::time::Instant;

use crate::exchange::{ALI, SSE, kind, read, request, response};

fn holding(uri: &str) -> Request<Full<Bytes>> {
    let mut request = request(uri);
    RequestFacts::ensure(&mut request, Instant::now());
    RequestFacts::get_mut(request.extensions_mut())
        .unwrap()
        .set_hold_first_event(Some(Duration::from_secs(60)));
    request
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_held_to_its_first_event_where_somebody_asked() {
    let wait = Duration::from_secs(3);
    let refused = Steps::new()
        .data(": keep-alive\n\n")
        .wait(wait)
        .data("data: {\"error\":{\"code\":\"limit_burst_rate\"}}\n\n");
    let start = Instant::now();
    let read = Reader::new()
        .begin(&holding(ALI))
        .read(response(200, SSE, refused))
        .await;
    assert_eq!(kind(&read), Some(Kind::Burst));
    assert_eq!(start.elapsed(), wait);

    let answered = Steps::new()
        .data("data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n")
        .wait(wait)
        .data("data: {\"choices\":[{\"delta\":{\"content\":\"H\"}}]}\n\n")
        .never();
    let start = Instant::now();
    let read = Reader::new()
        .begin(&holding(ALI))
        .read(response(200, SSE, answered))
        .await;
    assert_eq!(kind(&read), None);
    assert_eq!(start.elapsed(), wait);
}

#[tokio::test(start_paused = true)]
async fn a_chunk_that_ends_in_error_has_the_error_for_its_content() {
    for (end, expected) in [
        ("error_finish", Some(Kind::TokenRate)),
        ("stop", None),
        ("length", None),
    ] {
        let chunk = format!(
            "data: {{\"choices\":[{{\"delta\":{{\"content\":\"Throttling: TPM(9/5)\"}},\"finish_reason\":\"{end}\"}}]}}\n\n"
        );
        let read = Reader::new()
            .begin(&holding(ALI))
            .read(response(200, SSE, Steps::new().data(chunk)))
            .await;
        assert_eq!(kind(&read), expected, "{end}");
    }
}

#[tokio::test(start_paused = true)]
async fn trailers_of_grpc_are_read_where_the_reader_is_told_to_hold() {
    let refused = || {
        let trailers = HeaderMap::from_iter([(
            http::HeaderName::from_static("grpc-status"),
            HeaderValue::from_static("8"),
        )]);
        response(
            200,
            "application/grpc",
            Steps::new().data("x").trailers(trailers),
        )
    };
    let reader = Reader::new().hold_trailers(true);
    let held = reader.begin(&request("http://h/s/m")).read(refused()).await;
    assert_eq!(kind(&held), Some(Kind::RequestRate));
    assert!(
        held.into_body()
            .collect()
            .await
            .unwrap()
            .trailers()
            .is_some()
    );

    let passed = Reader::new()
        .begin(&request("http://h/s/m"))
        .read(refused())
        .await;
    assert_eq!(kind(&passed), None);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_states_a_wait_is_held_to_its_first_event() {
    let body = Steps::new()
        .data("event: response.created\ndata: {\"type\":\"response.created\"}\n\n")
        .data("event: error\ndata: {\"type\":\"error\",\"code\":\"rate_limit_exceeded\"}\n\n")
        .never();
    let mut refused = response(200, SSE, body);
    refused
        .headers_mut()
        .insert("retry-after", HeaderValue::from_static("4"));
    let read = read("https://x.openai.azure.com/v1", refused).await;
    assert_eq!(kind(&read), Some(Kind::TokenRate));
}
