//! What a tower service owes its neighbours, the same for all four layers.
//!
//! The list is that of tower-resilience's contract matrix and review checklist: readiness before
//! every call, on clones and further attempts too; readiness reserved once; a waker registered, and
//! nobody woken in vain; errors of readiness and of calls as they were; everything given back on
//! drop; responses whole. What it asks of hedges does not apply: nothing here sends twice at once.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod laws;

use fallback_layer::{Candidate, FallbackLayer};
use http::StatusCode;
use key_rotation_layer::{KeyPool, KeyRotationLayer};
use rate_limit_layer::{Limiter, Quota, RateLimitLayer};
use retry_429_layer::Retry429Layer;
use test_support::{Upstream, ok, throttled_for, with_status};
use tower::{Layer, ServiceExt};

use laws::chat;

fn pacing(quota: Quota) -> RateLimitLayer {
    RateLimitLayer::new(Limiter::builder().default_quota(quota).build())
}

/// It limits, but not what the tests do here.
fn rate_limit() -> RateLimitLayer {
    pacing(Quota::new().requests_per_second(1_000))
}

fn retry_429() -> Retry429Layer {
    Retry429Layer::new()
}

fn key_rotation() -> KeyRotationLayer {
    let pool = KeyPool::builder()
        .account("a", ["sk-a1"])
        .account("b", ["sk-b1"]);
    KeyRotationLayer::new(pool.build().unwrap())
}

fn fallback() -> FallbackLayer {
    FallbackLayer::new([Candidate::model("qwen3-max"), Candidate::model("qwen-plus")])
}

/// `sends` is how often a request is sent whose first answer is this refusal.
macro_rules! contract {
    ($($layer:ident sends $sends:literal after $refusal:expr;)*) => {$(
        mod $layer {
            use super::*;

            #[tokio::test(start_paused = true)]
            async fn every_attempt_calls_an_instance_made_ready() {
                let refusal = $refusal;
                laws::every_attempt_calls_an_instance_made_ready(super::$layer(), $sends, refusal).await;
            }

            #[tokio::test(start_paused = true)]
            async fn repeated_readiness_is_reserved_once() {
                laws::repeated_readiness_is_reserved_once(super::$layer()).await;
            }

            #[tokio::test(start_paused = true)]
            async fn pending_readiness_wakes_once_there_is_room() {
                laws::pending_readiness_wakes_once_there_is_room(super::$layer());
            }

            #[tokio::test(start_paused = true)]
            async fn an_error_of_readiness_is_kept() {
                laws::an_error_of_readiness_is_kept(super::$layer());
            }

            #[tokio::test(start_paused = true)]
            async fn an_error_of_a_call_is_kept() {
                laws::an_error_of_a_call_is_kept(super::$layer()).await;
            }

            #[tokio::test(start_paused = true)]
            async fn a_response_is_kept_whole() {
                laws::a_response_is_kept_whole(super::$layer()).await;
            }

            #[tokio::test(start_paused = true)]
            async fn dropping_gives_everything_back() {
                laws::dropping_gives_everything_back(super::$layer());
            }

            #[tokio::test(start_paused = true)]
            async fn clones_take_turns_below_one_permit() {
                laws::clones_take_turns_below_one_permit(super::$layer()).await;
            }

            #[tokio::test(start_paused = true)]
            async fn nobody_is_woken_in_vain() {
                laws::nobody_is_woken_in_vain(super::$layer());
            }

            #[test]
            fn is_built_without_a_runtime_and_fits_everywhere() {
                laws::is_built_without_a_runtime_and_fits_everywhere(super::$layer());
            }
        }
    )*};
}

contract! {
    rate_limit sends 1 after throttled_for(1);
    retry_429 sends 2 after throttled_for(1);
    key_rotation sends 2 after throttled_for(1);
    fallback sends 2 after with_status(StatusCode::SERVICE_UNAVAILABLE);
}

/// Ten a second, spent by twice as many clones at once: never more, whoever is polled first.
#[tokio::test(start_paused = true)]
async fn clones_cannot_spend_a_quota_twice() {
    let upstream = Upstream::answering(|_| ok());
    let service = pacing(Quota::new().requests_per_second(10)).layer(upstream.clone());
    let sent = (0..20).map(|_| tokio::spawn(service.clone().oneshot(chat())));
    for sent in sent.collect::<Vec<_>>() {
        sent.await.unwrap().unwrap();
    }
    let arrivals = upstream.arrivals();
    assert_eq!(arrivals.len(), 20);
    for window in arrivals.windows(11) {
        assert!(window[10] - window[0] > 1_000, "{arrivals:?}");
    }
}
