//! Tests through the public API, in one binary.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod contract;
mod cooldown;
mod headroom;
mod key;
mod pool;
mod read;
mod refusal;
mod revoked;
mod rotation;
mod strategy;
mod upstream;
#[cfg(all(feature = "metrics", feature = "tracing"))]
mod watch;
