//! Several processes, one quota.
//!
//! `cargo run --release --example fleet -- --help` says what it can do.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    fleet::run(&fleet::Args::parse())
}
