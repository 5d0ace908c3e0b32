//! Paces an hour of virtual time in about a second, with this project's limiter and with others.
//!
//! A run is fifty workers who want as much as they can get, a client's whole tower stack, a network
//! with jitter, and a server that counts as some provider does ([`model_studio_sim`]), on tokio's
//! paused clock. So what is measured is the service that users call, not a model of it, and the
//! same numbers come out every time.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a simulation's quantities are far below 2⁵² and not negative"
)]

mod args;
mod caller;
mod chart;
mod client;
mod draw;
mod fairness;
mod job;
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
    let seeds = args.seeds.into();
    if args.tokens {
        show(args, out, Row::HEAD, tokens::rows(seeds, HOUR))?;
    }
    if args.fairness {
        let rows = fairness::rows(seeds, 4 * HOUR);
        show(args, out, fairness::Row::HEAD, rows)?;
    }
    if !args.asks_for_servers() {
        return Ok(());
    }
    let servers = args.servers().iter();
    let rows = servers.flat_map(|&server| {
        let clients = Client::ALL
            .into_iter()
            .filter(move |client| client.is_for(server));
        clients.map(move |client| table::measure(server, client, seeds, HOUR))
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
