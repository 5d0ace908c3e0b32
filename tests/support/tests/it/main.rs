//! Tests of the test support itself: a strict upstream that is not strict proves nothing.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod process;
mod proxy;
mod redis;
mod steps;
mod upstream;
