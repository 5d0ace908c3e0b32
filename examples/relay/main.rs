//! One base URL and one key, every account behind it.
//!
//! `cargo run --release --example relay -- --help` says what it can do.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    relay::run(&relay::Args::parse())
}
