use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::time::{Instant, sleep, sleep_until};
use tower::BoxError;

use crate::caller::Caller;
use crate::client::Client;
use crate::draw::Draw;
use crate::job::{Job, Workload};
use crate::network::Network;
use crate::row::Row;
use crate::server::Server;
use crate::tally::Tally;

/// So many callers that the quota, not they, is what limits.
const WORKERS: u64 = 50;

/// Lets a client work against a server for so long in virtual time, once per seed, and returns the
/// mean.
///
/// # Errors
///
/// What a builder of the client said, or the system to a runtime.
pub(crate) fn measure(
    server: Server,
    client: Client,
    seeds: u64,
    length: Duration,
) -> Result<Row, BoxError> {
    let quota = server.quota();
    let tallies = (1..=seeds).map(|seed| {
        paused(seed, async {
            let network = Network::new(seed, server.limits(seed)).states_wait(server.states_wait());
            let caller = client.caller(quota, network.clone())?;
            let end = Instant::now() + length;
            Ok(saturate(&server.workload(), caller, network, seed, WORKERS, end).await)
        })
    });
    let tallies: Vec<_> = tallies.collect::<Result<_, _>>()?;
    let name = client.name().to_owned();
    Ok(Row::of(server.name(), name, &tallies, quota, length))
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

/// Keeps `workers` jobs under way at any time until `end`.
pub(crate) async fn saturate(
    workload: &Workload,
    caller: Caller,
    network: Network,
    seed: u64,
    workers: u64,
    end: Instant,
) -> Tally {
    let jobs = Arc::new(AtomicU64::new(0));
    for worker in 0..workers {
        let (workload, caller, network) = (*workload, caller.clone(), network.clone());
        let jobs = Arc::clone(&jobs);
        let start = Duration::from_secs_f64(0.5 * Draw::Start.of(seed, worker).f64());
        tokio::spawn(async move {
            sleep(start).await;
            loop {
                let id = jobs.fetch_add(1, Ordering::Relaxed);
                let job = Job::new(&workload, seed, id, Instant::now());
                network.born();
                if !caller.call(seed, &job).await {
                    network.lost();
                }
            }
        });
    }
    sleep_until(end).await;
    network.take_tally()
}
