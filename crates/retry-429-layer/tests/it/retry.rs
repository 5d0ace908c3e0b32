//! What is retried, and what is handed back. The clock is paused: no test sleeps.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use retry_429_layer::{Attempt, Backoff, Decision, Policy, Retry429Layer, WithErrors};
use test_support::{
    Answer, Upstream, UpstreamError, json, ok, throttled, throttled_for, with_status,
};
use throttle_signal::{Classified, Kind, Profile, Reader, RequestFacts, Throttle, Wait};
use tokio::time::Instant;
use tower::{Layer, ServiceExt};

use crate::{POLICY, layer, request, secs};

#[tokio::test(start_paused = true)]
async fn passes_a_success_through() {
    let upstream = Upstream::new([ok()]);
    let response = layer()
        .layer(upstream.clone())
        .oneshot(request())
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(upstream.arrivals(), [0]);
}

#[tokio::test(start_paused = true)]
async fn passes_other_failures_through() {
    for status in [
        StatusCode::UNAUTHORIZED,
        StatusCode::BAD_GATEWAY,
        StatusCode::NOT_FOUND,
    ] {
        let upstream = Upstream::new([with_status(status)]);
        let response = layer()
            .layer(upstream.clone())
            .oneshot(request())
            .await
            .unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(upstream.arrivals(), [0]);
    }
}

#[tokio::test(start_paused = true)]
async fn hands_back_at_once_what_no_wait_cures() {
    let refusal = json(
        429,
        &serde_json::json!({"error": {"code": "insufficient_quota", "message": "You exceeded your current quota"}}),
    );
    let layer = layer().reader(Reader::new().profile(Profile::named("openai").unwrap()));
    let upstream = Upstream::new([refusal]);
    let response = layer
        .layer(upstream.clone())
        .oneshot(request())
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(upstream.arrivals(), [0]);
}

#[tokio::test(start_paused = true)]
async fn hands_back_at_once_when_the_server_asks_for_too_long() {
    let upstream = Upstream::new([throttled_for(61)]);
    let response = layer()
        .layer(upstream.clone())
        .oneshot(request())
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(upstream.arrivals(), [0]);
}

#[tokio::test(start_paused = true)]
async fn hands_back_the_last_refusal_when_retries_run_out() {
    let mut last = throttled_for(3);
    *last.body_mut() = Full::from("slow down");
    let upstream = Upstream::new([throttled_for(1), throttled_for(2), last]);
    let client = Retry429Layer::with_policy(POLICY.max_retries(2))
        .without_budget()
        .layer(upstream.clone());

    let response = client.oneshot(request()).await.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()["retry-after"], "3");
    let body = response.into_body().collect().await.unwrap();
    assert_eq!(body.to_bytes(), "slow down");
    assert_eq!(upstream.arrivals(), [0, 1_000, 3_000]);
}

#[tokio::test(start_paused = true)]
async fn sends_a_paced_refusal_back_at_once_with_the_facts_of_the_first_attempt() {
    let paced = || {
        let mut response = throttled_for(30);
        let throttle = Throttle::new(Kind::RequestRate)
            .with_wait(Wait::Stated(secs(30)))
            .with_paced(true);
        response.extensions_mut().insert(Classified(Some(throttle)));
        response
    };
    // The limiter below holds the second attempt for its wait.
    let held = Answer::from(ok()).after(secs(30));
    let upstream = Upstream::new([Answer::from(paced()).after(secs(2)), held]);
    let start = Instant::now();
    layer()
        .layer(upstream.clone())
        .oneshot(request())
        .await
        .unwrap();

    assert_eq!(upstream.arrivals(), [0, 2_000]);
    let again = upstream.take_requests().remove(1);
    let facts = RequestFacts::get(again.extensions()).unwrap();
    assert_eq!(facts.arrived(), start);
}

#[tokio::test(start_paused = true)]
async fn errors_are_the_policys() {
    const REFUSED: WithErrors<Backoff, UpstreamError> =
        WithErrors::new(POLICY, |error| error.0 == "connection refused");
    let layer = Retry429Layer::with_policy(REFUSED).without_budget();

    let refused = || Answer::error("connection refused");
    let upstream = Upstream::new([refused(), refused(), ok().into()]);
    layer
        .layer(upstream.clone())
        .oneshot(request())
        .await
        .unwrap();
    assert_eq!(upstream.arrivals(), [0, 1_000, 3_000]);

    let reset: Answer = Answer::error("connection reset");
    let upstream = Upstream::new([reset]);
    let error = layer
        .layer(upstream.clone())
        .oneshot(request())
        .await
        .unwrap_err();
    assert_eq!(error.0, "connection reset");
    assert_eq!(upstream.arrivals(), [0]);
}

#[tokio::test(start_paused = true)]
async fn a_policy_counts_for_one_request_only() {
    #[derive(Clone)]
    struct Once(bool);

    impl<E> Policy<E> for Once {
        fn decide(&mut self, _: &Attempt<'_, E>) -> Decision {
            if std::mem::replace(&mut self.0, true) {
                return Decision::give_back("once");
            }
            Decision::retry(secs(1), "once")
        }
    }

    let upstream = Upstream::new(std::iter::repeat_with(throttled).take(4));
    let client = Retry429Layer::with_policy(Once(false)).layer(upstream.clone());

    client.clone().oneshot(request()).await.unwrap();
    client.oneshot(request()).await.unwrap();
    assert_eq!(upstream.arrivals(), [0, 1_000, 1_000, 2_000]);
}

#[tokio::test(start_paused = true)]
async fn takes_the_verdict_of_a_layer_below() {
    let mut response: Response<Full<Bytes>> = Response::default();
    let throttle = Throttle::new(Kind::Concurrency).with_wait(Wait::Stated(secs(2)));
    response.extensions_mut().insert(Classified(Some(throttle)));
    let response = Arc::new(std::sync::Mutex::new(Some(response)));
    let upstream = Upstream::answering(move |_| {
        let refused = response.lock().unwrap().take();
        refused.unwrap_or_else(ok)
    });
    layer()
        .layer(upstream.clone())
        .oneshot(request())
        .await
        .unwrap();
    assert_eq!(upstream.arrivals(), [0, 2_000]);
}

#[tokio::test(start_paused = true)]
async fn facts_from_above_go_down_unchanged_each_time() {
    let upstream = Upstream::new([throttled_for(1), ok()]);
    let mut request = request();
    let facts = RequestFacts::ensure(&mut request, Instant::now());
    tokio::time::advance(secs(3)).await;
    layer()
        .layer(upstream.clone())
        .oneshot(request)
        .await
        .unwrap();
    for seen in upstream.take_requests() {
        let seen = RequestFacts::get(seen.extensions()).unwrap().arrived();
        assert_eq!(seen, facts.arrived());
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_is_handed_back_names_the_model() {
    let upstream = Upstream::new([throttled_for(61)]);
    let request = Request::new(Full::<Bytes>::from(r#"{"model":"qwen3-max"}"#));
    let response = layer().layer(upstream).oneshot(request).await.unwrap();
    let throttle = Classified::throttle(response.extensions()).unwrap();
    assert_eq!(throttle.model().map(AsRef::as_ref), Some("qwen3-max"));
}
