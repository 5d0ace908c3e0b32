use std::fmt;

use anyhow::{Context, Error, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Whether someone wants to stop: Ctrl-C, or the system.
#[derive(Debug)]
pub(crate) struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

/// The error that this is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopped;

impl Stop {
    /// Listens from now on; neither ends the process by itself any more.
    ///
    /// # Errors
    ///
    /// The system does not let us.
    pub(crate) fn listen() -> Result<Self> {
        let signal = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Ends when someone wants to stop. Nothing is missed if this is dropped.
    pub(crate) async fn asked(&mut self) -> Error {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        Stopped.into()
    }

    /// What `work` comes to, unless someone wants to stop.
    ///
    /// # Errors
    ///
    /// [`Stopped`].
    pub(crate) async fn unless<T>(&mut self, work: impl Future<Output = T>) -> Result<T> {
        tokio::select! {
            biased;
            stopped = self.asked() => Err(stopped),
            done = work => Ok(done),
        }
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stopped")
    }
}

impl std::error::Error for Stopped {}
