//! Tests through the public API, in one binary.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod contract;
mod layer;
mod peek;
mod property;
mod replay;
mod support;
