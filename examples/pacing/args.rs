use std::path::PathBuf;

use clap::Parser;

use crate::server::Server;

/// Paces an hour of virtual time against servers that count in different ways.
#[derive(Clone, Debug, Parser)]
#[allow(clippy::struct_excessive_bools, reason = "a command line has switches")]
#[command(name = "pacing")]
pub struct Args {
    /// Servers of the table, as A,B,foreign; all by default
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    server: Vec<Server>,

    /// Token charging: three providers, and what a client reserves
    #[arg(long)]
    pub(crate) tokens: bool,

    /// Queueing: one tenant with 70 % of the traffic at 92 % load
    #[arg(long)]
    pub(crate) fairness: bool,

    /// A pool of ten unequal accounts at 95 % load
    #[arg(long)]
    pub(crate) keys: bool,

    /// Write a JSON object a line rather than a table
    #[arg(long)]
    pub(crate) json: bool,

    /// Draw the servers' table as an SVG
    #[arg(long, value_name = "FILE")]
    pub(crate) chart: Option<PathBuf>,

    /// Runs with different chance, of which the mean is shown
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..))]
    pub(crate) seeds: u8,
}

impl Args {
    /// Whether the servers' table is wanted: when asked for, or when nothing else is.
    pub(crate) fn asks_for_servers(&self) -> bool {
        let other = self.tokens || self.fairness || self.keys;
        !other || !self.server.is_empty() || self.chart.is_some()
    }

    /// The servers asked for, in the order asked for.
    pub(crate) fn servers(&self) -> &[Server] {
        if self.server.is_empty() {
            return &Server::ALL;
        }
        &self.server
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Args::try_parse_from(std::iter::once("pacing").chain(line.split_whitespace()))
    }

    #[test]
    fn without_flags_all_servers_are_asked_for() {
        let args = parse("").unwrap();
        assert!(args.asks_for_servers());
        assert_eq!(args.servers(), Server::ALL);
    }

    #[test]
    fn servers_come_in_the_order_given() {
        let args = parse("--server B,foreign,a").unwrap();
        assert_eq!(args.servers(), [Server::B, Server::Foreign, Server::A]);
    }

    #[test]
    fn another_table_is_instead_of_the_servers_unless_both_are_named() {
        for flag in ["--tokens", "--fairness", "--keys"] {
            assert!(!parse(flag).unwrap().asks_for_servers(), "{flag}");
        }
        assert!(parse("--tokens --server A").unwrap().asks_for_servers());
        assert!(parse("--keys --chart a.svg").unwrap().asks_for_servers());
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for line in ["--server Z", "--seeds 0", "--speed"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
