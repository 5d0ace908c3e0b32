use std::collections::HashMap;
use std::io::{Write, stdout};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use tokio::sync::watch;

use crate::args::Args;
use crate::dispatch::{self, Ended, Sink};
use crate::errand::Shared;
use crate::input::{BadLine, Input, Job};
use crate::output::Output;
use crate::progress::{Progress, note};
use crate::record::Record;
use crate::tally::{Report, Tally};
use crate::target::Target;
use crate::wire::{Counts, Wire};
use crate::{stack, table};

/// Does what the command line says.
pub async fn run(args: Args) -> ExitCode {
    match batch(&args).await {
        Ok(code) => code,
        Err(error) => {
            note(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn batch(args: &Args) -> Result<ExitCode> {
    let mut input = read(args)?;
    let target = Target::settle(args, &input).await?;
    let mut output = open(args)?;
    let before = input.len();
    input.jobs.retain(|job| !output.has(&job.custom_id));
    input.bad.retain(|bad| !output.has(&bad.custom_id));
    let (requests, recorded_before) = (input.len(), before - input.len());
    let mut bad = Tally::default();
    for line in input.bad {
        refuse(line, &mut output, &mut bad)?;
    }

    let (ideal, rate) = ideal(&target, &input.jobs);
    let concurrency = args.concurrency.unwrap_or_else(|| concurrency(rate));
    let progress = Progress::new(requests);
    let wire = Wire::new();
    let counts = wire.counts();
    let stop = Arc::new(watch::Sender::new(false));
    let interrupt = tokio::spawn(interrupted(Arc::clone(&stop)));
    let shared = Shared {
        endpoint: target.endpoint.clone(),
        counts: Arc::clone(&counts),
        stop: stop.subscribe(),
    };
    let service = stack::build(&target, wire)?;
    let sink = Sink {
        output: &mut output,
        progress: &progress,
    };
    let Ended {
        mut tally,
        hopeless,
    } = dispatch::all(service, input.jobs, concurrency, shared, &stop, sink).await?;
    progress.finish();
    interrupt.abort();
    tally.failed += bad.failed;

    let report = report(&target, &counts, tally, requests, recorded_before, ideal);
    let path = output.path().map(|path| path.display().to_string());
    output.close()?;
    show(&table::closing(&report, path.as_deref()))?;
    if args.json {
        show(&serde_json::to_string(&report).context("cannot write the report as JSON")?)?;
    }

    let go_on = || match &path {
        Some(path) => format!(
            "{} are still to do: run again with --output {path} to go on",
            report.lost
        ),
        None => format!(
            "{} were not done, and nothing was kept; name a file by --output to be able to go on",
            report.lost
        ),
    };
    if let Some(reason) = hopeless {
        bail!("{}; {}", target.accounts.redact(&reason), go_on());
    }
    if report.lost > 0 {
        note(&format!("stopped; {}", go_on()));
        return Ok(ExitCode::from(if *stop.borrow() { 130 } else { 1 }));
    }
    Ok(ExitCode::SUCCESS)
}

fn read(args: &Args) -> Result<Input> {
    let model = args.models.first().map(String::as_str);
    let Some(path) = &args.input else {
        return Ok(Input::shipped(model, args.requests));
    };
    if args
        .output
        .as_ref()
        .is_some_and(|output| same(path, output))
    {
        bail!("{} is the input; choose another --output", path.display());
    }
    let mut input = Input::read(path, model)?;
    input.truncate(args.requests.unwrap_or(usize::MAX));
    Ok(input)
}

fn same(one: &std::path::Path, other: &std::path::Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

fn open(args: &Args) -> Result<Output> {
    match &args.output {
        Some(path) => Output::open(path),
        // Answers that were paid for are kept even where nobody said where.
        None if args.base_url.is_some() => Output::fresh(),
        None => Ok(Output::nowhere()),
    }
}

fn refuse(line: BadLine, output: &mut Output, tally: &mut Tally) -> Result<()> {
    note(&format!("note: {}", line.reason));
    tally.failed += 1;
    output.write(&Record::failed(
        line.line,
        line.custom_id,
        "invalid_line",
        line.reason,
    ))
}

/// The least time the quota allows for these jobs, in seconds, and the rate that binds.
#[expect(
    clippy::cast_precision_loss,
    reason = "requests are far fewer than 2^52"
)]
fn ideal(target: &Target, jobs: &[Job]) -> (Option<f64>, Option<f64>) {
    let mut by_model: HashMap<&str, u64> = HashMap::new();
    for job in jobs {
        *by_model
            .entry(target.chain.first().unwrap_or(&job.model))
            .or_default() += 1;
    }
    let ideal = |(model, requests): (&str, u64)| {
        Some((
            (requests - 1) as f64 / target.rate(model)?,
            target.rate(model)?,
        ))
    };
    let slowest = by_model
        .into_iter()
        .filter_map(ideal)
        .max_by(|one, other| one.0.total_cmp(&other.0));
    (
        slowest.map(|(ideal, _)| ideal),
        slowest.map(|(_, rate)| rate),
    )
}

/// Enough to use the quota up when an answer takes half a minute.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped"
)]
fn concurrency(rate: Option<f64>) -> usize {
    (rate.unwrap_or(2.0) * 30.0).clamp(64.0, 2000.0) as usize
}

fn report(
    target: &Target,
    counts: &Counts,
    tally: Tally,
    requests: usize,
    recorded_before: usize,
    ideal: Option<f64>,
) -> Report {
    let ledger = target
        .simulator
        .as_ref()
        .map(model_studio_sim::Simulator::ledger);
    let (sends, refused_429) = match ledger {
        Some(ledger) => (
            ledger.requests() + ledger.refusals() + ledger.invalid_keys,
            ledger.refusals(),
        ),
        None => (counts.sends(), counts.refused()),
    };
    Report::new(
        tally,
        requests as u64,
        recorded_before as u64,
        sends,
        refused_429,
        ideal,
    )
}

fn show(text: &str) -> Result<()> {
    writeln!(stdout().lock(), "{text}").context("cannot write to standard output")
}

/// The first Ctrl-C stops sending, the second leaves at once; records are whole either way.
async fn interrupted(stop: Arc<watch::Sender<bool>>) {
    let mut times = 0;
    while tokio::signal::ctrl_c().await.is_ok() {
        times += 1;
        if times > 1 {
            std::process::exit(130);
        }
        note("\nstopping: what was sent is waited for; press Ctrl-C again to leave at once");
        stop.send_replace(true);
    }
}
