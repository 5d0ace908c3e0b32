//! What a tower service owes its neighbours, the same for all four layers and for limits on what comes in.
//!
//! The list is that of tower-resilience's contract matrix and review checklist:
//!
//! | asked there | here |
//! | --- | --- |
//! | readiness before every call, on clones and further attempts; it lasts, is reserved once, and is not asked for in `call` | [`laws`] |
//! | a waker registered, nobody woken in vain; readiness errors terminal and preserved | [`laws`] |
//! | responses and errors without loss; everything given back on an answer, an error and a drop; nothing spawned | [`laws`] |
//! | capacity that clones cannot spend twice | [`sharing`] |
//! | nothing held by an answer of the layer's own | [`refusals`] |
//! | losing attempts cancelled before the next; errors of readiness and of calls treated alike | [`attempts`] |
//! | invalid, zero, non-finite and inverted configuration neither panics nor spins | [`edges`] |
//! | a nonconforming fixture fails with a specific assertion | [`broken`] |
//! | the same as tower's own middleware, where there is one | [`reference`] |
//!
//! Hedges do not exist here: nothing sends twice at once. Interleavings of threads are explored in the
//! crates, and what a drop does to a connection is in the tests of composition.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod attempts;
mod broken;
mod edges;
mod laws;
mod reference;
mod refusals;
mod sharing;

use fallback_layer::{Candidate, FallbackLayer};
use http::StatusCode;
use key_rotation_layer::{KeyPool, KeyRotationLayer};
use rate_limit_layer::inbound::{InboundLayer, Rate};
use rate_limit_layer::{Limiter, Quota, RateLimitLayer};
use retry_429_layer::Retry429Layer;
use test_support::{throttled_for, with_status};

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

/// All requests are one caller's.
fn inbound_of(rate: Rate) -> InboundLayer<(), fn(&laws::Chat) -> Option<()>> {
    InboundLayer::new(rate, |_| Some(()))
}

fn inbound() -> InboundLayer<(), fn(&laws::Chat) -> Option<()>> {
    inbound_of(Rate::per_second(1_000))
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
            async fn readiness_lasts_until_it_is_used() {
                laws::readiness_lasts_until_it_is_used(super::$layer()).await;
            }

            #[tokio::test(start_paused = true)]
            async fn a_call_asks_nobody_for_readiness() {
                laws::a_call_asks_nobody_for_readiness(super::$layer()).await;
            }

            #[tokio::test(start_paused = true)]
            async fn the_task_it_moved_to_is_the_one_woken() {
                laws::the_task_it_moved_to_is_the_one_woken(super::$layer());
            }

            #[tokio::test(start_paused = true)]
            async fn answers_and_errors_give_everything_back() {
                laws::answers_and_errors_give_everything_back(super::$layer()).await;
            }

            #[tokio::test(start_paused = true)]
            async fn a_refused_request_that_is_dropped_is_over() {
                laws::a_refused_request_that_is_dropped_is_over(super::$layer()).await;
            }

            #[tokio::test(start_paused = true)]
            async fn nothing_is_spawned_for_a_request_that_nothing_limits() {
                laws::nothing_is_spawned_for_a_request_that_nothing_limits(super::$layer()).await;
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
    inbound sends 1 after throttled_for(1);
}
