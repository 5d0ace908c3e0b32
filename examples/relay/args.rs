use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;

/// A relay for rate-limited LLM APIs: one base URL, one key, every account behind it.
///
/// Without a configuration it starts a simulator of Alibaba Model Studio with two accounts and
/// relays to that.
#[derive(Clone, Debug, Default, Parser)]
#[command(name = "relay")]
pub struct Args {
    /// The configuration, in TOML. Read again when it changes and on SIGHUP.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Where to listen, in place of what the configuration says. A port of 0 takes a free one.
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,

    /// Checks the configuration, says what is wrong with it, and ends.
    #[arg(long, requires = "config")]
    pub check: bool,
}
