use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use http::Uri;
use rate_limit_layer::shared::{LocalStore, SharedStore};
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::args::Args;
use crate::demand::Demand;
use crate::network::Network;
use crate::report::{Outage, Run};
use crate::stack::{self, Stack};
use crate::tally::{Counted, Tally};
use crate::word::Said;
use crate::worker::{PLACES, Worker};

/// A round trip to the store.
const ROUND_TRIP: Duration = Duration::from_millis(1);

/// What all chance depends on.
const SEED: u64 = 1;

/// Runs the fleet in virtual time, and one client alone with the same demand.
///
/// # Errors
///
/// The system has no runtime for us.
pub(crate) fn run(args: &Args) -> Result<Run> {
    let alone = paused(async {
        let world = World::new(args);
        let stack = stack::over(world.network.clone(), stack::limiter(&args.quota, None));
        let places = PLACES * usize::from(args.instances);
        world.work(args, &[stack], places, None).await
    })?;
    let fleet = paused(async {
        let world = World::new(args);
        let store = LocalStore::new();
        store.set_latency(ROUND_TRIP);
        let joined: Vec<_> = (0..args.instances)
            .map(|index| {
                let instance = SharedStore::builder().instance(format!("instance {index}"));
                let (handle, driver) = instance.join(&store);
                tokio::spawn(driver);
                handle
            })
            .collect();
        let stacks: Vec<_> = joined
            .iter()
            .map(|store| {
                let limiter = stack::limiter(&args.quota, Some(store.clone()));
                stack::over(world.network.clone(), limiter)
            })
            .collect();
        let mut measured = world.work(args, &stacks, PLACES, Some(&store)).await?;
        for store in joined {
            measured.tally.calls(store.stats().into());
        }
        Ok(measured)
    })?;
    Ok(Run {
        instances: args.instances.into(),
        quota: args.quota.clone(),
        measured: measured(args),
        granted: fleet.granted,
        whole: fleet.whole,
        outage: fleet.outage,
        tally: fleet.tally,
        alone: Some(Counted {
            granted: alone.granted,
            refused: alone.whole.refused,
        }),
        broken: false,
    })
}

/// Runs `work` on a clock that stands still while anything can be done and then jumps.
fn paused<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    // Layers that use chance use this thread's.
    fastrand::seed(SEED);
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.context("cannot start a runtime")?.block_on(work)
}

fn measured(args: &Args) -> Range<Duration> {
    args.warm_up()..args.warm_up() + args.length()
}

/// What one run takes place in.
struct World {
    network: Network,
    start: Instant,
}

struct Measured {
    granted: u64,
    whole: Counted,
    outage: Option<Outage>,
    tally: Tally,
}

impl World {
    fn new(args: &Args) -> Self {
        Self {
            network: Network::new(args.quota.limits(), SEED),
            start: Instant::now(),
        }
    }

    /// Lets every instance's demand come up at one of the stacks, each in its turn.
    async fn work(
        &self,
        args: &Args,
        stacks: &[Stack],
        places: usize,
        store: Option<&LocalStore>,
    ) -> Result<Measured> {
        let tally = Arc::new(Mutex::new(Tally::default()));
        let stop = watch::Sender::new(());
        let mut workers = JoinSet::new();
        let demand = Demand {
            instances: args.instances.into(),
            rate: args.quota.per_second() * f64::from(args.load) / 100.0,
            turn: args.turn(),
            seed: SEED,
        };
        for (index, stack) in (0..args.instances.into()).zip(stacks.iter().cycle()) {
            let worker = Worker {
                index,
                demand,
                places,
                stack: stack.clone(),
                uri: Uri::from_static(
                    "https://dashscope.aliyuncs.com/compatible-mode/v1/chat/completions",
                ),
            };
            let (mut stop, tally) = (stop.subscribe(), Arc::clone(&tally));
            let say = move |said: &Said| {
                tally
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .hear(index, said);
            };
            workers.spawn(async move {
                let stopped = async {
                    let _ = stop.changed().await;
                };
                worker.run(stopped, say).await;
            });
        }

        let Range { start, end } = measured(args);
        let granted_before = self.until(start).await.granted;
        let outage = match (args.outage().map_err(anyhow::Error::msg)?, store) {
            (Some(away), Some(store)) => Some(self.take_away(store, start, away).await),
            _ => None,
        };
        let granted = self.until(end).await.granted - granted_before;
        stop.send_replace(());
        while workers.join_next().await.is_some() {}
        let tally = std::mem::take(&mut *tally.lock().map_err(|_| anyhow!("a worker broke"))?);
        Ok(Measured {
            granted,
            whole: self.network.counted(),
            outage,
            tally,
        })
    }

    /// Lets the store be unreachable for a time, and come back empty.
    async fn take_away(
        &self,
        store: &LocalStore,
        start: Duration,
        away: Range<Duration>,
    ) -> Outage {
        let away = start + away.start..start + away.end;
        let before = self.until(away.start).await;
        store.set_reachable(false);
        let counted = self.until(away.end).await - before;
        store.wipe();
        store.set_reachable(true);
        Outage { away, counted }
    }

    async fn until(&self, at: Duration) -> Counted {
        sleep_until(self.start + at).await;
        self.network.counted()
    }
}
