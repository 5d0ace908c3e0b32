//! Tests through the public API, in one binary.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod contract;
mod pool;
mod rotation;
mod upstream;
#[cfg(all(feature = "metrics", feature = "tracing"))]
mod watch;
