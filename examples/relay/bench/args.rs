use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// What the relay costs, beside the direct call, nginx and a proxy of hyper without any logic.
#[derive(Debug, Parser)]
#[command(name = "relay_bench")]
pub(crate) struct Args {
    /// How often each window is measured.
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: usize,

    /// How long each window is, in seconds.
    #[arg(long, default_value_t = 2.0)]
    pub(crate) seconds: f64,

    /// How many requests lie between the two looks at the relay's memory. It has answered as many, and
    /// for a minute on end, before the first.
    #[arg(long, default_value_t = 100_000)]
    pub(crate) requests: u64,

    /// Also measures the relay with a line of log for each request.
    #[arg(long)]
    pub(crate) with_log: bool,

    /// This program, built already as it is to be measured. If not said, it is built with the profile
    /// `dist`, as the relay is installed, which takes some minutes the first time.
    #[arg(long, value_name = "FILE")]
    pub(crate) built: Option<PathBuf>,

    #[command(subcommand)]
    pub(crate) role: Option<Role>,
}

/// What this process is to be, in place of the one that measures.
#[derive(Debug, Subcommand)]
pub(crate) enum Role {
    /// The upstream.
    #[command(hide = true)]
    Mock { listen: SocketAddr },
    /// A proxy without logic.
    #[command(hide = true)]
    Proxy {
        listen: SocketAddr,
        upstream: SocketAddr,
    },
    /// Calls an address for some seconds: for a look at the relay with a profiler.
    #[command(hide = true)]
    Load {
        addr: SocketAddr,
        kind: String,
        seconds: f64,
    },
    /// The relay.
    #[command(hide = true)]
    Relay { config: PathBuf, listen: SocketAddr },
}
