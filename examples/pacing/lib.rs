//! Paces an hour of virtual time in about a second, with this project's limiter and with others.
//!
//! A run is fifty workers who want as much as they can get, a client's whole tower stack, a network
//! with jitter, and a server that counts as some provider does ([`model_studio_sim`]), on tokio's
//! paused clock. So what is measured is the service that users call, not a model of it, and the
//! same numbers come out every time.
//!
//! # What makes it fair
//!
//! * Every client is told the provider's published quota and nothing else, and ours has one
//!   configuration for all servers.
//! * Chance is drawn by job and attempt, so every client meets the same sizes and delays.
//! * Every client is set up as its documentation says. Two concessions: `governor` is given its tokens,
//!   which the other peers cannot count; and as its own timer knows nothing of a paused clock, its
//!   `until_ready` is written out here over its clock trait and tokio's timer.
//!
//! # What it is not
//!
//! Delays are independent; real ones come in clusters. tokio's timer ends on whole milliseconds, so
//! every step of every client does. And no provider says exactly how it counts: that is why there are
//! so many servers.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a simulation's quantities are far below 2⁵² and not negative"
)]

mod accounts;
mod args;
mod caller;
mod chart;
mod client;
mod draw;
mod fairness;
mod job;
mod keys;
mod network;
mod row;
mod run;
mod server;
mod table;
mod tally;
mod tokens;

pub use args::Args;

use std::fmt::Display;
use std::io::Write;
use std::time::Duration;

use serde::Serialize;
use tower::BoxError;

use crate::client::Client;
use crate::row::Row;

const HOUR: Duration = Duration::from_secs(3_600);

/// Does what the command line asks for and writes the rows to `out`, each when it is known.
///
/// # Errors
///
/// `out` or the chart cannot be written.
pub fn run(args: &Args, out: &mut impl Write) -> Result<(), BoxError> {
    run_for(args, HOUR, out)
}

/// As [`run()`], with hours of any length.
fn run_for(args: &Args, hour: Duration, out: &mut impl Write) -> Result<(), BoxError> {
    let seeds = args.seeds.into();
    if args.tokens {
        show(args, out, Row::HEAD, tokens::rows(seeds, hour))?;
    }
    if args.fairness {
        let rows = fairness::rows(seeds, 4 * hour);
        show(args, out, fairness::Row::HEAD, rows)?;
    }
    if args.keys {
        show(args, out, keys::Row::HEAD, keys::rows(seeds, 4 * hour))?;
    }
    if !args.asks_for_servers() {
        return Ok(());
    }
    let servers = args.servers().iter();
    let rows = servers.flat_map(|&server| {
        let clients = Client::ALL.into_iter();
        let clients = clients.filter(move |client| client.is_for(server));
        clients.map(move |client| table::measure(server, client, seeds, hour))
    });
    let rows = show(args, out, Row::HEAD, rows)?;
    if let Some(path) = &args.chart {
        chart::draw(path, &rows)?;
    }
    Ok(())
}

/// Writes rows as they come, under a head or as JSON.
fn show<R: Display + Serialize>(
    args: &Args,
    out: &mut impl Write,
    head: &str,
    rows: impl Iterator<Item = Result<R, BoxError>>,
) -> Result<Vec<R>, BoxError> {
    if !args.json {
        writeln!(out, "{head}")?;
    }
    let mut shown = Vec::new();
    for row in rows {
        let row = row?;
        if args.json {
            writeln!(out, "{}", serde_json::to_string(&row)?)?;
        } else {
            writeln!(out, "{row}")?;
        }
        out.flush()?;
        shown.push(row);
    }
    Ok(shown)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use clap::Parser;
    use serde_json::Value;

    use super::*;

    fn minute(args: &[&str]) -> String {
        let args = args.iter().map(OsString::from);
        let args = Args::parse_from(std::iter::once("pacing".into()).chain(args));
        let mut out = Vec::new();
        run_for(&args, Duration::from_secs(60), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn objects(lines: &str) -> Vec<Value> {
        lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[test]
    fn json_has_a_row_a_line_with_shares_as_fractions() {
        let rows = objects(&minute(&["--server", "C,J", "--seeds", "1", "--json"]));
        assert_eq!(rows.len(), 7 + 9);
        for row in &rows {
            let keys: Vec<_> = row.as_object().unwrap().keys().collect();
            let expected = [
                "client",
                "lost",
                "refused",
                "sends_per_success",
                "server",
                "utilisation",
                "wait_p50_s",
                "wait_p99_s",
            ];
            assert_eq!(keys, expected);
            for share in ["utilisation", "refused", "lost"] {
                assert!((0.0..=1.1).contains(&row[share].as_f64().unwrap()), "{row}");
            }
        }
        for name in ["rate-limit-layer", "rate-limit-layer bursts"] {
            assert!(rows.iter().any(|row| row["client"] == name), "{name}");
        }
    }

    #[test]
    fn keys_has_a_row_a_strategy() {
        let rows = objects(&minute(&["--keys", "--seeds", "1", "--json"]));
        let earliest = |row: &&Value| row["client"] == "key-rotation-layer earliest-slot";
        let row = rows.iter().find(earliest).unwrap();
        assert!(
            row["wait_mean_s"].is_number() && row["served"].is_number(),
            "{row}"
        );
    }

    #[test]
    fn the_table_has_its_head_and_as_many_columns_as_that() {
        let table = minute(&["--server", "D", "--seeds", "1"]);
        let mut lines = table.lines();
        assert!(lines.next().unwrap().starts_with("server"));
        assert_eq!(lines.clone().count(), 7);
        assert!(lines.all(|line| line.starts_with("D ")));
    }

    #[test]
    fn the_chart_names_every_server_and_client_drawn() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pacing.svg");
        minute(&[
            "--server",
            "A,G",
            "--seeds",
            "1",
            "--chart",
            file.to_str().unwrap(),
        ]);
        let svg = std::fs::read_to_string(file).unwrap();
        for words in [
            "<svg",
            "rate-limit-layer bursts",
            "A: exact sliding",
            "G: as A, refused",
        ] {
            assert!(svg.contains(words), "{words}");
        }
    }
}
