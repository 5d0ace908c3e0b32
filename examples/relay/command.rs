use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::{Context, Result};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::Config;
use crate::{Args, Relay};

/// Runs the command.
#[must_use]
pub fn run(args: &Args) -> ExitCode {
    match try_run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("relay: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn try_run(args: &Args) -> Result<()> {
    // Read for the level of the log, and read again when the relay starts.
    let config = args.config.as_deref().map(Config::load).transpose()?;
    if args.check {
        return Ok(());
    }
    let level = config.map_or(tracing::Level::WARN, |config| config.log);
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_max_level(level)
        // There is nowhere to say that there is nowhere to say it.
        .log_internal_errors(false)
        .with_writer(io::stderr)
        .init();
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(args))
}

async fn serve(args: &Args) -> Result<()> {
    let mut hangup = signal(SignalKind::hangup()).context("cannot listen for signals")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for signals")?;
    let mut relay = Relay::start(args).await?;
    show(&relay);
    loop {
        tokio::select! {
            _ = hangup.recv() => relay.reload(),
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    relay.end();
    let open = relay.open();
    if open > 0 {
        tracing::warn!(
            open,
            "ends when the open answers are complete, and at once if told again"
        );
    }
    // Told twice, it ends at once.
    tokio::select! {
        () = relay.ended() => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// For whoever typed the command, and for scripts. They may have gone, or read the first line alone.
fn show(relay: &Relay) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "base_url = \"{}\"", relay.base_url());
    if let Some(admin) = relay.admin() {
        let _ = writeln!(out, "admin = \"http://{admin}\"");
    }
    if let Some(key) = relay.api_key() {
        let _ = writeln!(out, "api_key = \"{key}\"");
    }
}
