//! What retries add to a server that is down.

use std::sync::Arc;

use futures_util::future::join_all;
use http::StatusCode;
use retry_429_layer::{Backoff, Retry429Layer, TokenBudget, WithErrors};
use test_support::{Answer, Upstream, UpstreamError, ok, with_status};
use tokio::time::{self, Instant};
use tower::{Layer, ServiceExt};

use crate::{request, secs};

const OUTAGE: u64 = 60;
const LOAD: u64 = 10;

/// Sends `LOAD` requests a second for as long as the outage lasts, and counts what reaches the
/// upstream in that time, for each request.
async fn amplification(budget: TokenBudget) -> (f64, usize) {
    let start = Instant::now();
    let upstream = Upstream::answering(move |_| {
        if start.elapsed() < secs(OUTAGE) {
            with_status(StatusCode::SERVICE_UNAVAILABLE)
        } else {
            ok()
        }
    });
    let policy = Backoff::new().max_retries(20);
    let layer = Retry429Layer::with_policy(policy).budget(Arc::new(budget));
    let client = layer.layer(upstream.clone());
    let calls = (0..OUTAGE * LOAD).map(|number| {
        let client = client.clone();
        async move {
            time::sleep(secs(1) * u32::try_from(number).unwrap() / u32::try_from(LOAD).unwrap())
                .await;
            client.oneshot(request()).await.unwrap().status()
        }
    });
    let answers = join_all(calls).await;
    let during = upstream
        .arrivals()
        .iter()
        .filter(|at| **at < u128::from(OUTAGE * 1000))
        .count();
    let answered = answers
        .iter()
        .filter(|status| **status == StatusCode::OK)
        .count();
    #[allow(clippy::cast_precision_loss, reason = "a few thousand")]
    let amplification = during as f64 / (OUTAGE * LOAD) as f64;
    (amplification, answered)
}

#[tokio::test(start_paused = true)]
async fn amplification_stays_within_the_budget_and_nothing_is_lost() {
    for (ratio, floor) in [(0.2, 1.0), (0.1, 0.0), (0.0, 5.0)] {
        let (amplification, answered) = amplification(TokenBudget::new(ratio, floor)).await;
        let bound = 1.0 + ratio + floor / 10.0;
        assert!(amplification <= bound, "{amplification} > {bound}");
        assert!(amplification > 1.0, "no retry at all");
        // Refusals are delayed, not given up; without a floor nothing more can be promised.
        if floor > 0.0 {
            assert_eq!(answered, 600, "ratio {ratio}, floor {floor}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn after_failures_the_budget_stops() {
    const FAILURES: WithErrors<Backoff, UpstreamError> = WithErrors::new(Backoff::new(), |_| true);
    let upstream: Upstream = Upstream::answering(|_| Answer::error("connection refused"));
    let budget = Arc::new(TokenBudget::new(0.5, 0.0));
    let layer = Retry429Layer::with_policy(FAILURES).budget(budget);
    for _ in 0..100 {
        layer
            .layer(upstream.clone())
            .oneshot(request())
            .await
            .unwrap_err();
    }
    assert_eq!(upstream.arrivals().len(), 150);
}
