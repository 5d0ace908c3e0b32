//! What the simulator promises, over real HTTP and without.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail the test"
)]

mod binary;
mod chat;
mod client;
mod embeddings;
mod faults;
mod history;
mod ledger;
mod limits;
mod native;
mod oracle;
mod refusals;
mod script;
