//! What the answer tells of the way to it.

use test_support::{Upstream, ok, throttled_for};
use throttle_signal::Trail;
use tower::{Layer, ServiceExt};

use crate::{layer, request, secs};

#[tokio::test(start_paused = true)]
async fn counts_attempts_and_waits_and_says_why() {
    let upstream = Upstream::new([throttled_for(7), throttled_for(2), ok()]);
    let response = layer().layer(upstream).oneshot(request()).await.unwrap();
    let trail = response.extensions().get::<Trail>().unwrap();
    assert_eq!(trail.attempts, 3);
    assert_eq!(trail.waited, secs(9));
    let steps: Vec<_> = trail
        .steps
        .iter()
        .map(|step| (step.layer, step.reason.as_ref()))
        .collect();
    assert_eq!(
        steps,
        [
            ("retry-429", "attempt 1 again after 7s: as stated"),
            ("retry-429", "attempt 2 again after 2s: as stated"),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn keeps_what_layers_below_noted_in_earlier_attempts() {
    let mut first = throttled_for(1);
    let below = Trail::of(first.extensions_mut());
    below.waited = secs(5);
    below.step("rate-limit", "held 5 s");
    let upstream = Upstream::new([first, ok()]);
    let response = layer().layer(upstream).oneshot(request()).await.unwrap();
    let trail = response.extensions().get::<Trail>().unwrap();
    assert_eq!(trail.attempts, 2);
    assert_eq!(trail.waited, secs(6));
    assert_eq!(trail.steps[0].layer, "rate-limit");
}

#[tokio::test(start_paused = true)]
async fn says_why_a_refusal_is_handed_back() {
    let upstream = Upstream::new([throttled_for(61)]);
    let response = layer().layer(upstream).oneshot(request()).await.unwrap();
    let trail = response.extensions().get::<Trail>().unwrap();
    assert_eq!(trail.attempts, 1);
    assert!(trail.given_up);
    assert_eq!(trail.steps[0].reason, "the wait is longer than max_delay");
}

#[tokio::test(start_paused = true)]
async fn a_success_at_once_has_none() {
    let upstream = Upstream::new([ok()]);
    let response = layer().layer(upstream).oneshot(request()).await.unwrap();
    assert_eq!(response.extensions().get::<Trail>(), None);
}
