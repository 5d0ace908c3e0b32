//! A fleet that shares one quota, against what happens to real stores.
//!
//! These tests live in real time, since the servers do: they wait for what they expect to see, and
//! count. What needs no server runs on tokio's paused clock.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]
#![allow(clippy::print_stdout, reason = "what was counted is worth seeing")]

mod cluster;
mod connecting;
mod faults;
mod instance;
mod members;
mod policies;
mod process;
mod upstream;
