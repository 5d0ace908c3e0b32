//! Tests through the public API, in one binary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod accounts;
mod bodies;
mod called;
mod cancel;
mod contract;
mod handle;
#[cfg(feature = "inbound")]
mod inbound;
mod memory;
mod order;
mod pacing;
mod refusals;
#[cfg(feature = "redis")]
mod shared;
#[cfg(feature = "redis")]
mod shared_calls;
#[cfg(feature = "redis")]
mod shared_redis;
mod stalled;
mod start_by;
mod strange;
mod support;
mod tokens;
mod unready;
#[cfg(all(feature = "metrics", feature = "tracing"))]
mod watch;
