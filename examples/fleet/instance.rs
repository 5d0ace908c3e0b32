use std::error::Error;
use std::io::{Write, stdin, stdout};
use std::iter::successors;
use std::process::exit;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use http::Uri;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rate_limit_layer::shared::SharedStore;
use tokio::sync::mpsc;

use crate::demand::Demand;
use crate::quota::Quota;
use crate::stack;
use crate::word::{Said, Told};
use crate::worker::{PLACES, Worker};

/// What one of the fleet is told when it is started.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    pub(crate) index: usize,
    #[arg(long)]
    pub(crate) instances: usize,
    #[arg(long)]
    pub(crate) quota: Quota,
    /// The store
    #[arg(long)]
    pub(crate) store: String,
    /// What its keys begin with
    #[arg(long)]
    pub(crate) prefix: String,
    /// Where to send requests
    #[arg(long)]
    pub(crate) upstream: Uri,
    /// Requests a second, of all instances
    #[arg(long)]
    pub(crate) rate: f64,
    /// How long demand stays where it is, in milliseconds
    #[arg(long)]
    pub(crate) turn: u64,
}

/// Waits to be told to go, works until told to stop, and says what it does.
///
/// # Errors
///
/// There is no store, which has been said.
pub(crate) async fn run(args: &Args) -> Result<()> {
    let mut told = listen();

    let builder = SharedStore::builder()
        .prefix(args.prefix.as_str())
        .instance(format!("instance {}", args.index));
    let (store, driver) = match builder.connect(args.store.as_str()).await {
        Ok(connected) => connected,
        Err(error) => {
            // The first cause alone: what lies between says it twice.
            let cause = successors(error.source(), |it| (*it).source()).last();
            let cause = cause.map_or_else(String::new, |cause| format!(": {cause}"));
            say(&Said::Failed(format!("{error}{cause}")));
            return Err(error.into());
        }
    };
    tokio::spawn(driver);
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).build(connector);
    let worker = Worker {
        index: args.index,
        demand: Demand {
            instances: args.instances,
            rate: args.rate,
            turn: Duration::from_millis(args.turn),
            seed: 1,
        },
        places: PLACES,
        stack: stack::over(client, stack::limiter(&args.quota, Some(store.clone()))),
        uri: args.upstream.clone(),
    };

    say(&Said::Ready);
    told.recv().await.context("never told to go")?;
    let stop = async {
        told.recv().await;
    };
    worker.run(stop, say).await;
    say(&Said::Over(store.stats().into()));
    Ok(())
}

/// What is told, from a thread: a runtime would wait at its end for a line that never comes.
fn listen() -> mpsc::UnboundedReceiver<Told> {
    let (heard, told) = mpsc::unbounded_channel();
    thread::spawn(move || {
        for line in stdin().lines().map_while(Result::ok) {
            let Some(word) = Told::read(&line) else {
                break;
            };
            let _ = heard.send(word);
        }
        // Nobody is there any more, so nobody would end this process.
        exit(1);
    });
    told
}

fn say(said: &Said) {
    let line = serde_json::to_string(said).unwrap_or_default();
    if writeln!(stdout().lock(), "{line}").is_err() {
        exit(1);
    }
}
