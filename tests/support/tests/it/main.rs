//! Tests of the test support itself: a strict upstream that is not strict proves nothing.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod process;
mod steps;
mod upstream;
