//! What passes through the bridge, over real connections on loopback.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod body;
mod client;
mod error;
mod message;
mod redirect;
mod retry;
mod server;
mod state;
mod timeout;
