//! How long a retry waits. The clock is paused: timelines are exact and no test sleeps.

use std::time::Duration;

use http::StatusCode;
use retry_429_layer::{Backoff, Retry429Layer};
use test_support::{Upstream, json, ok, throttled, throttled_for};
use throttle_signal::{Deadline, Profile, Reader, StartBy};
use tokio::time::Instant;
use tower::{Layer, ServiceExt};

use crate::{POLICY, layer, request, secs};

#[tokio::test(start_paused = true)]
async fn waits_as_long_as_the_server_asks() {
    let upstream = Upstream::new([throttled_for(7), throttled_for(2), ok()]);
    let response = layer()
        .layer(upstream.clone())
        .oneshot(request())
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(upstream.arrivals(), [0, 7_000, 9_000]);
}

#[tokio::test(start_paused = true)]
async fn jitter_lengthens_a_stated_wait_and_never_shortens_it() {
    let layer = Retry429Layer::with_policy(Backoff::new());
    let mut delays = Vec::new();
    for _ in 0..100 {
        let upstream = Upstream::new([throttled_for(7), ok()]);
        layer
            .layer(upstream.clone())
            .oneshot(request())
            .await
            .unwrap();
        delays.push(upstream.arrivals()[1]);
    }
    assert!(
        delays.iter().all(|delay| (7_000..=7_701).contains(delay)),
        "{delays:?}"
    );
    assert!(delays.iter().any(|delay| *delay > 7_100), "{delays:?}");
}

#[tokio::test(start_paused = true)]
async fn backs_off_when_nothing_is_known() {
    let upstream = Upstream::new([throttled(), throttled(), throttled(), ok()]);
    let response = layer()
        .layer(upstream.clone())
        .oneshot(request())
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(upstream.arrivals(), [0, 1_000, 3_000, 7_000]);
}

#[tokio::test(start_paused = true)]
async fn waits_as_such_limits_usually_take() {
    let refusal = || {
        json(
            429,
            &serde_json::json!({"error": {
                "message": "You exceeded your current quota, please check your plan and billing details.",
                "type": "insufficient_quota",
                "code": "insufficient_quota",
            }}),
        )
    };
    let layer = layer().reader(Reader::new().profile(Profile::named("model-studio").unwrap()));
    let upstream = Upstream::new([refusal(), refusal(), ok()]);
    let response = layer
        .layer(upstream.clone())
        .oneshot(request())
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(upstream.arrivals(), [0, 1_000, 3_000]);
}

#[tokio::test(start_paused = true)]
async fn does_not_wait_after_the_last_attempt() {
    let start = Instant::now();
    let upstream = Upstream::new([throttled_for(1), throttled_for(50)]);
    let client = Retry429Layer::with_policy(POLICY.max_retries(1))
        .without_budget()
        .layer(upstream);
    client.oneshot(request()).await.unwrap();
    assert_eq!(start.elapsed(), secs(1));
}

#[tokio::test(start_paused = true)]
async fn never_waits_past_the_deadline() {
    for (within, sends) in [(7_000, 2), (6_999, 1)] {
        for start_by in [false, true] {
            let at = Instant::now() + Duration::from_millis(within);
            let mut request = request();
            if start_by {
                request.extensions_mut().insert(StartBy(at));
            } else {
                request.extensions_mut().insert(Deadline(at));
            }
            let upstream = Upstream::new([throttled_for(7), ok()]);
            let start = Instant::now();
            layer()
                .layer(upstream.clone())
                .oneshot(request)
                .await
                .unwrap();
            assert_eq!(upstream.arrivals().len(), sends, "{within} {start_by}");
            // What cannot be in time is handed back at once.
            assert_eq!(start.elapsed().is_zero(), sends == 1);
        }
    }
}
