use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use model_studio_sim::Limits;
use tokio::runtime::Builder;
use tokio::time::{Instant, sleep};
use tower::BoxError;

use crate::caller::Caller;
use crate::draw::{Draw, exponential};
use crate::job::{Job, Workload};
use crate::network::Network;
use crate::row::Row;
use crate::server::Quota;

/// One client against one server.
pub(crate) struct Trial<'a> {
    pub(crate) server: &'static str,
    pub(crate) client: &'static str,
    /// What utilisation is measured by.
    pub(crate) quota: Quota,
    /// The server's limits, by seed.
    pub(crate) limits: &'a dyn Fn(u64) -> Limits,
    pub(crate) states_wait: bool,
    pub(crate) workload: Workload,
    /// How many jobs are under way at any time.
    pub(crate) workers: u64,
    pub(crate) caller: &'a dyn Fn(Network) -> Result<Caller, BoxError>,
}

impl Trial<'_> {
    /// Lets the client work for so long in virtual time, once per seed, and returns the mean.
    ///
    /// # Errors
    ///
    /// What a builder of the client said, or the system to a runtime.
    pub(crate) fn measure(&self, seeds: u64, length: Duration) -> Result<Row, BoxError> {
        let tallies = (1..=seeds).map(|seed| {
            paused(seed, async {
                let network = Network::new(seed, (self.limits)(seed)).states_wait(self.states_wait);
                let caller = (self.caller)(network.clone())?;
                saturate(&self.workload, &caller, &network, seed, self.workers);
                sleep(length).await;
                Ok(network.take_tally())
            })
        });
        let tallies: Vec<_> = tallies.collect::<Result<_, _>>()?;
        Ok(Row::of(
            self.server,
            self.client,
            &tallies,
            self.quota,
            length,
        ))
    }
}

/// Runs `work` on a clock that stands still while anything can be done and then jumps.
pub(crate) fn paused<T>(
    seed: u64,
    work: impl Future<Output = Result<T, BoxError>>,
) -> Result<T, BoxError> {
    // Layers that use chance use this thread's.
    fastrand::seed(seed);
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    runtime.block_on(work)
}

/// Keeps `workers` jobs under way for as long as the runtime lives.
fn saturate(workload: &Workload, caller: &Caller, network: &Network, seed: u64, workers: u64) {
    let jobs = Arc::new(AtomicU64::new(0));
    for worker in 0..workers {
        let (workload, caller, network) = (*workload, caller.clone(), network.clone());
        let jobs = Arc::clone(&jobs);
        // Not all in one instant, as in life.
        let start = Duration::from_secs_f64(0.5 * Draw::Start.of(seed, worker).f64());
        tokio::spawn(async move {
            sleep(start).await;
            loop {
                let id = jobs.fetch_add(1, Ordering::Relaxed);
                let job = Job::new(&workload, seed, id, Instant::now());
                work(&caller, &network, seed, &job).await;
            }
        });
    }
}

/// Lets jobs come up at random, `rate` a second on average, for so long.
pub(crate) async fn arrive(
    job: impl Fn(u64, Instant) -> Job,
    caller: &Caller,
    network: &Network,
    seed: u64,
    rate: f64,
    length: Duration,
) {
    let end = Instant::now() + length;
    for id in 0.. {
        sleep(exponential(rate, &mut Draw::Arrival.of(seed, id))).await;
        let now = Instant::now();
        if now >= end {
            break;
        }
        let (caller, network) = (caller.clone(), network.clone());
        let job = job(id, now);
        tokio::spawn(async move { work(&caller, &network, seed, &job).await });
    }
}

async fn work(caller: &Caller, network: &Network, seed: u64, job: &Job) {
    network.born();
    if !caller.call(seed, job).await {
        network.lost();
    }
}
