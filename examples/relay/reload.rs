use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};

use crate::config::Config;
use crate::metrics::{Metrics, Outcome};
use crate::setup::Setup;

/// How often the file is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Reads the configuration again when it changes, and when told to.
#[derive(Debug)]
pub(crate) struct Reload {
    path: PathBuf,
    /// What the file said when it was last read for good.
    in_force: Option<Vec<u8>>,
    setup: watch::Sender<Arc<Setup>>,
    metrics: Arc<Metrics>,
}

impl Reload {
    pub(crate) const fn new(
        path: PathBuf,
        in_force: Option<Vec<u8>>,
        setup: watch::Sender<Arc<Setup>>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            path,
            in_force,
            setup,
            metrics,
        }
    }

    /// Goes on until `told` is closed.
    pub(crate) async fn run(mut self, mut told: mpsc::Receiver<()>) {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut before = self.in_force.clone();
        loop {
            tokio::select! {
                word = told.recv() => {
                    if word.is_none() {
                        return;
                    }
                    self.in_force = read(&self.path);
                    before.clone_from(&self.in_force);
                    self.reload();
                }
                _ = ticks.tick() => {
                    let now = read(&self.path);
                    // Seen twice alike: nobody is in the middle of writing it.
                    if now.is_some() && now != self.in_force && now == before {
                        self.in_force.clone_from(&now);
                        self.reload();
                    }
                    before = now;
                }
            }
        }
    }

    fn reload(&self) {
        let outcome = match self.try_reload() {
            Ok(()) => {
                tracing::info!(file = %self.path.display(), "the configuration is in force");
                "in_force"
            }
            Err(error) => {
                let message = "the configuration is not used, the one before stays in force";
                tracing::error!(error = format!("{error:#}"), "{message}");
                "rejected"
            }
        };
        self.metrics
            .reloads
            .get_or_create(&Outcome { outcome })
            .inc();
    }

    fn try_reload(&self) -> Result<()> {
        let config = Config::load(&self.path)?;
        let old = Arc::clone(&self.setup.borrow());
        let fixed = |config: &Config| {
            let admin = config.admin.listen;
            (config.listen, config.workers, config.log, admin)
        };
        if fixed(&config) != fixed(&old.config) {
            tracing::warn!("`listen`, `workers` and `log` take effect with the next start");
        }
        let setup = Setup::new(config, Some(&old), 0)?;
        self.setup.send_replace(Arc::new(setup));
        Ok(())
    }
}

pub(crate) fn read(path: &Path) -> Option<Vec<u8>> {
    std::fs::read(path).ok()
}
