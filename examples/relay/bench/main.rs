//! What the relay costs: the direct call, nginx, a proxy of hyper without any logic, and the relay,
//! interleaved in one run.
//!
//! `cargo run --release --example relay_bench -- --help` says what it can do.

#![allow(clippy::print_stdout, reason = "a command talks to whoever typed it")]

mod args;
mod contender;
mod dist;
mod load;
mod mock;
mod process;
mod proxy;
mod report;
mod window;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use tokio::runtime::Builder;

use self::args::{Args, Role};

/// Requests pass through futures and buffers of several KiB, which the allocator of glibc is slow
/// with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("relay_bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    match &args.role {
        // Each is a process of its own, so that its time is its own.
        Some(Role::Mock { listen }) => block_on(mock::serve(*listen)),
        Some(Role::Proxy { listen, upstream }) => proxy::run(*listen, *upstream),
        Some(Role::Relay { config, listen }) => {
            let args = relay::Args {
                config: Some(config.clone()),
                listen: Some(*listen),
                ..relay::Args::default()
            };
            let _ = relay::run(&args);
            Ok(())
        }
        Some(Role::Load {
            addr,
            kind,
            seconds,
        }) => block_on(report::load(*addr, kind == "stream", *seconds)),
        None => block_on(report::run(args)),
    }
}

fn block_on(future: impl Future<Output = Result<()>>) -> Result<()> {
    Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(future)
}
