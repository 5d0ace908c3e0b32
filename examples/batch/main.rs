//! The main job: a batch of prompts, finished inside the quota.
//!
//! `cargo run --release --example batch -- --help` says what it can do.

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    batch::run(batch::Args::parse()).await
}
