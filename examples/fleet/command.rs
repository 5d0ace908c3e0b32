use std::io::{Write, stderr, stdout};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::error::ErrorKind;
use clap::{CommandFactory, Error};
use tokio::runtime::{Builder, Runtime};

use crate::args::{Args, Role};
use crate::report::{Report, Run};
use crate::stop::Stopped;
use crate::{instance, processes, simulated};

/// Does what the command line says.
#[must_use]
pub fn run(args: &Args) -> ExitCode {
    if let Some(Role::Instance(args)) = &args.role {
        // Whoever started it has been told what is wrong.
        let done = runtime(0).and_then(|runtime| runtime.block_on(instance::run(args)));
        return if done.is_ok() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    if let Err(error) = args.outage() {
        Error::raw(ErrorKind::ValueValidation, error)
            .format(&mut Args::command())
            .exit();
    }
    let run = if args.simulated {
        simulated::run(args)
    } else {
        // The simulator must not wait for a server that is started.
        runtime(2).and_then(|runtime| runtime.block_on(processes::run(args)))
    };
    match run.and_then(|run| show(args, &run)) {
        Ok(code) => code,
        Err(error) if error.is::<Stopped>() => {
            note("stopped");
            ExitCode::from(130)
        }
        Err(error) => {
            note(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// One with so many threads beside this one.
fn runtime(threads: usize) -> Result<Runtime> {
    let mut builder = match threads {
        0 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    if threads > 0 {
        builder.worker_threads(threads);
    }
    builder
        .enable_all()
        .build()
        .context("cannot start a runtime")
}

fn show(args: &Args, run: &Run) -> Result<ExitCode> {
    let report = Report::of(run);
    let text = if args.json {
        serde_json::to_string(&report).context("cannot write the report as JSON")?
    } else {
        report.to_string()
    };
    writeln!(stdout().lock(), "{text}").context("cannot write to standard output")?;
    Ok(if run.broken {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Says a line to whoever watches; if nobody can be told, the work goes on.
pub(crate) fn note(line: &str) {
    let _ = writeln!(stderr().lock(), "{line}");
}
