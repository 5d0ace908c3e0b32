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
mod client;
mod draw;
mod job;
mod network;
mod row;
mod run;
mod server;
mod tally;

pub use args::Args;

use std::io::Write;
use std::time::Duration;

use tower::BoxError;

use crate::client::Client;
use crate::row::Row;

const HOUR: Duration = Duration::from_secs(3_600);

/// Does what the command line asks for and writes the rows to `out`, each when it is known.
///
/// # Errors
///
/// `out` cannot be written to.
pub fn run(args: &Args, out: &mut impl Write) -> Result<(), BoxError> {
    if !args.json {
        writeln!(out, "{}", Row::HEAD)?;
    }
    for &server in args.servers() {
        for client in Client::ALL
            .into_iter()
            .filter(|client| client.is_for(server))
        {
            let row = run::measure(server, client, args.seeds.into(), HOUR)?;
            if args.json {
                writeln!(out, "{}", serde_json::to_string(&row)?)?;
            } else {
                writeln!(out, "{row}")?;
            }
        }
    }
    Ok(())
}
