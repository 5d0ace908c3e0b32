//! The relay over real HTTP.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking"
)]

mod caller;
mod chaos;
mod clients;
mod config;
mod front;
mod http;
mod process;
mod reload;
mod slow;
mod until;
