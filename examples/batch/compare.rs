use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::args::Args;
use crate::by_hand::ByHand;
use crate::dispatch::{self, Ended, Sink};
use crate::errand::{LeftOver, Shared};
use crate::film::Frame;
use crate::input::Input;
use crate::output::Output;
use crate::progress::{Progress, note};
use crate::stop::Stop;
use crate::tally::Report;
use crate::target::Target;
use crate::wire::Wire;
use crate::{chart, command, stack, table};

/// What a strategy made of the work.
#[derive(Debug)]
pub(crate) struct Trial {
    pub(crate) report: Report,
    pub(crate) frames: Vec<Frame>,
}

/// Does the same work once by each strategy, on a fresh simulator every time, and shows what came
/// of it.
///
/// # Errors
///
/// Fails if the input cannot be read, a simulator cannot be started, or the chart not be written.
pub(crate) async fn run(args: &Args) -> Result<ExitCode> {
    let input = command::read(args)?;
    if let Some(bad) = input.bad.first() {
        bail!("{}; a comparison needs good lines only", bad.reason);
    }
    // Before the work, not after it.
    let file = match &args.chart {
        Some(path) => Some(File::create(path).with_context(|| cannot_write(path))?),
        None => None,
    };
    let stop = Stop::on_ctrl_c();
    let mut trials = Vec::new();
    for strategy in ByHand::ALL.into_iter().map(Some).chain([None]) {
        let name = strategy.map_or("layers", ByHand::name);
        note(&format!("{} of 6: {name}", trials.len() + 1));
        let trial = attend(args, &input, strategy, name, &stop).await?;
        if stop.is_set() {
            return Ok(ExitCode::from(130));
        }
        trials.push(trial);
    }

    command::show(&table::comparison(trials.iter().map(|trial| &trial.report)))?;
    for trial in &trials {
        let line = serde_json::to_string(&trial.report);
        command::show(&line.context("cannot write the report as JSON")?)?;
    }
    if let (Some(path), Some(mut file)) = (&args.chart, file) {
        let svg = chart::draw(&trials).context("cannot draw the chart")?;
        file.write_all(svg.as_bytes())
            .with_context(|| cannot_write(path))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write to {}", path.display())
}

async fn attend(
    args: &Args,
    input: &Input,
    strategy: Option<ByHand>,
    name: &'static str,
    stop: &Stop,
) -> Result<Trial> {
    let target = Target::settle(args, input).await?;
    let jobs = input.jobs.clone();
    let ideal = target.ideal(&jobs);
    let concurrency = command::concurrency(args, ideal);
    let shared = Shared {
        endpoint: target.endpoint.clone(),
        stop: stop.watch(),
    };
    let progress = Progress::new(jobs.len());
    let mut output = Output::nowhere();
    let sink = Sink {
        output: &mut output,
        progress: &progress,
    };
    let (wire, film) = Wire::new().filmed();
    let counts = wire.counts();
    let ended = if let Some(by_hand) = strategy {
        let service = by_hand.service(&target, wire)?;
        dispatch::all(service, jobs, concurrency, shared, &counts, stop, sink).await?
    } else {
        let service = stack::build(&target, wire)?;
        dispatch::all(service, jobs, concurrency, shared, &counts, stop, sink).await?
    };
    progress.finish();
    let Ended { tally, left_over } = ended;
    if let Some(LeftOver { reason, .. }) = left_over {
        bail!("{name}: {reason}");
    }
    let requests = input.jobs.len() as u64;
    let sends = target.sends(&counts);
    let mut report = Report::new(tally, (requests, 0), sends, ideal.map(|it| it.seconds));
    report.strategy = Some(name);
    Ok(Trial {
        report,
        frames: film.frames(),
    })
}
