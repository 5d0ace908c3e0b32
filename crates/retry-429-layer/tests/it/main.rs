//! Tests through the public API, in one binary.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod body;
mod contract;
mod cost;
mod herd;
mod outage;
mod owner;
mod retry;
mod trail;
mod wait;
#[cfg(feature = "tracing")]
mod watch;

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use retry_429_layer::{Backoff, Retry429Layer};

type Body = Full<Bytes>;

/// Delays of 1, 2, 4 and then 5 s where none is known, known ones up to a minute.
const POLICY: Backoff = Backoff::new()
    .max_retries(3)
    .initial_delay(secs(1))
    .max_guess(secs(5))
    .max_delay(secs(60))
    .without_jitter();

/// Without a budget: what follows is the policy's.
fn layer() -> Retry429Layer {
    Retry429Layer::with_policy(POLICY).without_budget()
}

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn request() -> Request<Body> {
    Request::new(Full::from("payload"))
}
