//! One base URL and one key, every account behind it.
//!
//! `cargo run --release --example relay -- --help` says what it can do.

use std::process::ExitCode;

use clap::Parser;

/// Requests pass through futures and buffers of several KiB, which the allocator of glibc is slow
/// with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    relay::run(&relay::Args::parse())
}
