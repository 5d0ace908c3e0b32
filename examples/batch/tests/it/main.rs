//! The program as its users meet it: a process, its files and its exit status.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, too, end a test that way"
)]

mod compares;
mod ends;
mod goes_on;
mod refusals;
mod support;
