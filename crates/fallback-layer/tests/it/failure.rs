//! What comes back when no candidate answers.

use std::time::Duration;

use fallback_layer::{Candidate, FallbackLayer};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::BodyExt;
use test_support::{Answer, Steps, Upstream, json, ok};
use throttle_signal::{Kind, Throttle, Wait};
use tokio::time;
use tower::{Layer, ServiceExt};

use crate::chain::{SECOND, exhausted, layer, rate, send, trail, upstream, verdict};
use crate::{Body, models, refused, request};

#[tokio::test(start_paused = true)]
async fn when_all_fail_the_first_refusal_comes_back_with_the_earliest_time() {
    let service = layer().layer(upstream(&[
        ("max", || {
            let mut response = refused(rate(60));
            response.headers_mut().insert("retry-after", 60.into());
            response
                .headers_mut()
                .insert("x-request-id", HeaderValue::from_static("first"));
            response
        }),
        ("plus", || {
            refused(
                Throttle::new(Kind::TokenRate)
                    .with_wait(Wait::Typical(Duration::from_millis(20500))),
            )
        }),
        ("turbo", exhausted),
    ]));
    let response = send(&service).await;
    assert_eq!(models(service.get_ref()), "max plus turbo");
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()["x-request-id"], "first");
    assert_eq!(response.headers()["retry-after"], "21");
    assert_eq!(response.headers()["retry-after-ms"], "20500");
    assert_eq!(response.headers()["x-fallback-candidate"], "max");
    assert_eq!(response.headers()["x-fallback-attempts"], "3");
    let throttle = verdict(&response);
    assert_eq!(throttle.kind(), Kind::RequestRate);
    assert!(throttle.retry());
    assert_eq!(throttle.wait(), Wait::Stated(Duration::from_millis(20500)));
    assert_eq!(trail(&response).attempts, 3);
    assert_eq!(trail(&response).steps.len(), 3);
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        "refused: request_rate"
    );
}

#[tokio::test(start_paused = true)]
async fn the_last_candidates_own_trouble_does_not_hide_the_first() {
    let service = layer().layer(upstream(&[
        ("max", exhausted),
        ("plus", exhausted),
        ("turbo", || refused(rate(1))),
    ]));
    let response = send(&service).await;
    assert_eq!(verdict(&response).kind(), Kind::QuotaExhausted);
    assert!(verdict(&response).retry()); // the last is free in a second
    assert_eq!(verdict(&response).wait(), Wait::Stated(SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_bad_request_comes_back_whole() {
    let service = layer().layer(Upstream::new([json(
        400,
        &serde_json::json!({"error": "messages is empty"}),
    )]));
    let response = send(&service).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        r#"{"error":"messages is empty"}"#
    );
}

#[tokio::test(start_paused = true)]
async fn a_refusal_whose_body_never_ends_does_not_hang() {
    let body = Steps::new().data("{").never();
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::BAD_REQUEST;
    let service = layer().layer(Upstream::new([response]));
    let response = time::timeout(5 * SECOND, service.oneshot(request()))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test(start_paused = true)]
async fn a_connection_error_goes_on_if_asked_to() {
    let script = || Upstream::new([Answer::error("refused"), Answer::from(ok())]);
    let service = layer().layer(script());
    assert_eq!(service.oneshot(request()).await.unwrap_err().0, "refused");

    let layer = layer().on_error(|error: &test_support::UpstreamError| error.0 == "refused");
    let service = layer.layer(script());
    let response = service.clone().oneshot(request()).await.unwrap();
    assert_eq!(response.headers()["x-fallback-candidate"], "plus");
    assert_eq!(models(service.get_ref()), "max plus");

    let other = layer.layer(Upstream::new([Answer::<Body>::error("reset")]));
    assert_eq!(other.oneshot(request()).await.unwrap_err().0, "reset");
}

#[tokio::test(start_paused = true)]
async fn an_error_everywhere_comes_back_unless_there_was_a_refusal() {
    let layer = layer().on_error(|_: &test_support::UpstreamError| true);
    let service = layer.layer(Upstream::new([
        Answer::<Body>::error("1"),
        Answer::error("2"),
        Answer::error("3"),
    ]));
    assert_eq!(service.oneshot(request()).await.unwrap_err().0, "3");

    let script = [
        Answer::from(exhausted()),
        Answer::error("2"),
        Answer::error("3"),
    ];
    let service = FallbackLayer::new([
        Candidate::model("a"),
        Candidate::model("b"),
        Candidate::model("c"),
    ])
    .on_error(|_: &test_support::UpstreamError| true)
    .layer(Upstream::new(script));
    assert_eq!(
        service.oneshot(request()).await.unwrap().status(),
        StatusCode::TOO_MANY_REQUESTS
    );
}

#[tokio::test(start_paused = true)]
async fn a_chain_of_one_hands_everything_back() {
    let service =
        FallbackLayer::new([Candidate::model("max")]).layer(upstream(&[("max", exhausted)]));
    let response = send(&service).await;
    assert_eq!(verdict(&response).kind(), Kind::QuotaExhausted);
    assert_eq!(trail(&response).attempts, 1);
}

#[tokio::test(start_paused = true)]
async fn an_error_comes_back_where_no_other_candidate_is_for_the_request() {
    let layer = FallbackLayer::new([
        Candidate::model("max"),
        Candidate::model("vision").when(|parts| parts.headers.contains_key("x-image")),
    ])
    .on_error(|_: &test_support::UpstreamError| true);
    let service = layer.layer(Upstream::new([Answer::<Body>::error("reset")]));
    assert_eq!(service.oneshot(request()).await.unwrap_err().0, "reset");
}
