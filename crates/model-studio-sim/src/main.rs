//! `model-studio-sim`: the simulator from the command line.

mod cli;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

#[tokio::main]
async fn main() -> ExitCode {
    match run(cli::Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "model-studio-sim: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: cli::Args) -> std::io::Result<()> {
    let listen = args.listen;
    let simulator = args.builder().start().await.map_err(|error| {
        std::io::Error::new(error.kind(), format!("cannot listen on {listen}: {error}"))
    })?;

    // Before anyone can know that there is something to end.
    let end = end()?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "listening on http://{}", simulator.addr())?;
    stdout.flush()?;
    end.await;
    Ok(())
}

/// Ctrl-C, or whatever else asks for an orderly end here. Takes hold when called.
#[cfg(unix)]
fn end() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Ctrl-C, or whatever else asks for an orderly end here. Takes hold when called.
#[cfg(windows)]
fn end() -> std::io::Result<impl Future<Output = ()>> {
    let mut interrupt = tokio::signal::windows::ctrl_c()?;
    Ok(async move {
        interrupt.recv().await;
    })
}
