use std::io::{ErrorKind, Write, stdout};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::args::Args;
use crate::dispatch::{self, Ended, Sink};
use crate::errand::{LeftOver, Shared};
use crate::input::{BadLine, Input};
use crate::output::Output;
use crate::progress::{Progress, note};
use crate::record::Record;
use crate::stop::Stop;
use crate::tally::{Report, Tally};
use crate::target::{Ideal, Target};
use crate::wire::Wire;
use crate::{compare, stack, table};

/// Does what the command line says.
pub async fn run(args: Args) -> ExitCode {
    let done = if args.compare {
        compare::run(&args).await
    } else {
        batch(&args).await
    };
    match done {
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

    let ideal = target.ideal(&input.jobs);
    let concurrency = concurrency(args, ideal);
    let progress = Progress::new(requests);
    let wire = Wire::new();
    let counts = wire.counts();
    let stop = Stop::on_ctrl_c();
    let shared = Shared {
        endpoint: target.endpoint.clone(),
        stop: stop.watch(),
    };
    let sink = Sink {
        output: &mut output,
        progress: &progress,
    };
    let ended = if input.jobs.is_empty() {
        Ended::default() // with no model to build a stack for
    } else {
        let service = stack::build(&target, wire)?;
        let jobs = input.jobs;
        dispatch::all(service, jobs, concurrency, shared, &counts, &stop, sink).await?
    };
    progress.finish();
    let Ended {
        mut tally,
        left_over,
    } = ended;
    tally.failed += bad.failed;
    let first_failure = tally.first_failure.take();

    let report = Report::new(
        tally,
        (requests as u64, recorded_before as u64),
        target.sends(&counts),
        ideal.map(|ideal| ideal.seconds),
    );
    let path = output.close()?.map(|path| path.display().to_string());
    // Where nothing was done, the sentence that says why is enough.
    if left_over.is_none() || report.completed + report.failed > 0 {
        show(&table::closing(&report, path.as_deref()))?;
    }
    // Where records go nowhere, this is all there is to see of it.
    if let Some(why) = first_failure {
        note(&format!(
            "note: first to fail: {}",
            target.accounts.redact(&why)
        ));
    }
    if args.json {
        show(&serde_json::to_string(&report).context("cannot write the report as JSON")?)?;
    }

    let go_on = || match &path {
        Some(path) => format!(
            "{} are still to do: run again with --output {path} to go on",
            report.lost
        ),
        None if report.completed + report.failed == 0 => {
            format!("{} are still to do: run again", report.lost)
        }
        None => format!(
            "{} were not done, and nothing was kept; name a file by --output to be able to go on",
            report.lost
        ),
    };
    if let Some(LeftOver { reason, .. }) = left_over {
        bail!("{}; {}", target.accounts.redact(&reason), go_on());
    }
    if report.lost > 0 {
        note(&format!("stopped; {}", go_on()));
        return Ok(ExitCode::from(if stop.is_set() { 130 } else { 1 }));
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn read(args: &Args) -> Result<Input> {
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

/// Enough to use the quota up when an answer takes half a minute.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped"
)]
pub(crate) fn concurrency(args: &Args, ideal: Option<Ideal>) -> usize {
    let enough = ideal.map_or(64.0, |ideal| ideal.rate * 30.0);
    args.concurrency
        .unwrap_or(enough.clamp(64.0, 2000.0) as usize)
}

pub(crate) fn show(text: &str) -> Result<()> {
    match writeln!(stdout().lock(), "{text}") {
        // Whoever reads has enough, as `head` has.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other.context("cannot write to standard output"),
    }
}
