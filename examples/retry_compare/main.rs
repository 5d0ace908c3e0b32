//! Six ways to retry, side by side against one server.
//!
//! ```console
//! $ cargo run --release --example retry_compare
//! ```
//!
//! It takes as long as the outage and half a minute more, and fails if this workspace's layer comes
//! back early, sends for nothing or adds more load than its budget.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

mod clients;
mod server;

use std::error::Error;
use std::time::Duration;

use clap::Parser;
use futures_util::future::join_all;
use tokio::time::{Instant, sleep, timeout};

use self::clients::Rival;
use self::server::{Scenario, Server};

/// Compares how clients retry.
#[derive(Parser)]
#[command(name = "retry_compare")]
struct Args {
    /// Retries each client may make of one request.
    #[arg(long, default_value_t = 10)]
    retries: u32,

    /// How long the outage lasts, in seconds.
    #[arg(long, default_value_t = 60)]
    outage: u32,

    /// Requests a second during the outage.
    #[arg(long, default_value_t = 5)]
    load: u32,
}

/// How long a caller waits for one answer.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let server = Server::start().await?;
    println!(
        "{} retries each; an outage of {} s at {} requests a second\n",
        args.retries, args.outage, args.load
    );
    let singles = join_all(Scenario::SINGLE.map(|scenario| single(&server, scenario, &args)));
    let (singles, outages) = tokio::join!(singles, outage(&server, &args));

    let mut wrong = Vec::new();
    for (scenario, rows) in Scenario::SINGLE.iter().zip(singles) {
        println!("{}", scenario.name());
        for row in rows? {
            println!("{row}");
            wrong.extend(row.complaint(*scenario));
        }
        println!();
    }
    println!("{}: 503 to all", Scenario::Outage.name());
    let bound = 1.0 + 0.2 + 1.0 / f64::from(args.load);
    for (name, amplification, answered) in outages? {
        println!(
            "  {name:<18} {amplification:>6.2} sends a request meanwhile, {answered:>3.0} % answered in the end"
        );
        if name == "retry-429-layer" && amplification > bound {
            wrong.push(format!(
                "in the outage it sends {amplification:.2} times, over {bound:.2}"
            ));
        }
    }
    println!("  (1 + ratio + floor/load of the layer's budget is {bound:.2})");
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(wrong.join("; ").into())
    }
}

fn rivals(profile: &str, retries: u32) -> Result<Vec<Rival>, Box<dyn Error>> {
    Ok(vec![
        clients::ours(profile, retries),
        clients::tower_retry(retries),
        clients::reqwest_own(retries)?,
        clients::reqwest_retry(retries),
        clients::async_openai(retries),
        clients::tower_resilience(retries),
    ])
}

/// What came of one request of one client.
struct Row {
    name: &'static str,
    sends: usize,
    early: usize,
    took: Duration,
    outcome: String,
}

impl Row {
    /// What is wrong with it, if it is ours.
    fn complaint(&self, scenario: Scenario) -> Option<String> {
        let needed = match scenario {
            Scenario::Money | Scenario::Day => 1,
            // Without a stated wait, how often one comes is a guess.
            Scenario::Html | Scenario::Tokens => 11,
            _ => 2,
        };
        let ours = self.name == "retry-429-layer";
        let right = self.early == 0 && self.sends <= needed && !self.outcome.starts_with("still");
        (ours && !right).then(|| format!("{}:{self}", scenario.name()))
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            name,
            sends,
            early,
            took,
            outcome,
        } = self;
        let took = took.as_secs_f64();
        write!(
            f,
            "  {name:<18} {sends:>3} sends, {early:>2} early, {took:>6.1} s, {outcome}"
        )
    }
}

async fn single(
    server: &Server,
    scenario: Scenario,
    args: &Args,
) -> Result<Vec<Row>, Box<dyn Error>> {
    let profile = match scenario {
        Scenario::Tokens => "model-studio",
        Scenario::Html => "generic",
        _ => "openai",
    };
    let rows = rivals(profile, args.retries)?
        .into_iter()
        .map(|rival| async move {
            let url = server.url(scenario, &rival.name.replace([' ', '\''], "-"), 0);
            let start = Instant::now();
            let outcome = match timeout(PATIENCE, rival.get(url.clone())).await {
                Ok(Ok(200)) => "answered".to_owned(),
                Ok(Ok(status)) => format!("handed {status} back"),
                Ok(Err(error)) => format!("an error instead of the answer: {error:.60}"),
                Err(_) => "still waiting".to_owned(),
            };
            let arrivals = server.arrivals(&url);
            let first = arrivals.first().copied().unwrap_or(start);
            let early = |at: &&Instant| **at - first + Duration::from_millis(1) < scenario.lasts();
            let early = arrivals.iter().skip(1).filter(early).count();
            Row {
                name: rival.name,
                sends: arrivals.len(),
                early: if scenario.states_a_wait() { early } else { 0 },
                took: start.elapsed(),
                outcome,
            }
        });
    Ok(join_all(rows).await)
}

/// For each client: how often a request was sent while the outage lasted, and how many of a hundred
/// were answered in the end.
async fn outage(
    server: &Server,
    args: &Args,
) -> Result<Vec<(&'static str, f64, f64)>, Box<dyn Error>> {
    let lasts = Duration::from_secs(args.outage.into());
    let rivals = rivals("generic", args.retries)?;
    let start = Instant::now();
    server.fail_for(lasts);
    let count = args.outage * args.load;
    let rows = rivals.into_iter().map(|rival| async move {
        let calls = (0..count).map(|number| {
            let number = usize::try_from(number).unwrap_or_default();
            let url = server.url(
                Scenario::Outage,
                &rival.name.replace([' ', '\''], "-"),
                number,
            );
            let at = start
                + Duration::from_secs(1) * u32::try_from(number).unwrap_or_default() / args.load;
            let rival = rival.clone();
            async move {
                sleep(at.saturating_duration_since(Instant::now())).await;
                let patience = (start + lasts + PATIENCE).saturating_duration_since(Instant::now());
                matches!(timeout(patience, rival.get(url)).await, Ok(Ok(200)))
            }
        });
        let answers = join_all(calls).await;
        let prefix = server.url(Scenario::Outage, &rival.name.replace([' ', '\''], "-"), 0);
        let prefix = prefix.trim_end_matches('0');
        let sends = server
            .arrivals(prefix)
            .into_iter()
            .filter(|at| *at < start + lasts)
            .count();
        let answered = answers.iter().filter(|answered| **answered).count();
        let share =
            |part: usize| u32::try_from(part).map_or(f64::INFINITY, f64::from) / f64::from(count);
        (rival.name, share(sends), 100.0 * share(answered))
    });
    Ok(join_all(rows).await)
}
