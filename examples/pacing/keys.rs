use std::fmt;
use std::time::Duration;

use key_rotation_layer::{KeyPool, KeyRotationLayer, Strategy};
use model_studio_sim::Limits;
use rate_limit_layer::RateLimitLayer;
use retry_429_layer::Retry429Layer;
use serde::Serialize;
use tower::{BoxError, Layer};

use crate::accounts::{Account, ByHand, limiter};
use crate::caller::{Caller, Retry};
use crate::draw::LogNormal;
use crate::job::{Answer, Job, Workload};
use crate::network::Network;
use crate::run::{arrive, paused};
use crate::tally::{Tally, share};

/// Requests a minute of ten accounts, as a team has them: old and new, paid and trial.
const ACCOUNTS: [u32; 10] = [120, 120, 60, 60, 60, 60, 30, 30, 30, 30];

const LOAD: f64 = 0.95;

/// The longest a request waits to be sent.
const PATIENCE: Duration = Duration::from_secs(300);

const WORKLOAD: Workload = Workload {
    prompt: LogNormal {
        median: 500.0,
        sigma: 0.8,
    },
    size: (20.0, 60_000.0),
    answer: Answer::Known(16),
    service: LogNormal {
        median: 1.5,
        sigma: 0.6,
    },
};

/// One way of choosing among keys.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Row {
    client: &'static str,
    /// From when a request came up to its being sent.
    wait_mean_s: f64,
    wait_p99_s: f64,
    /// Share of the requests that were answered.
    served: f64,
    /// Share of the sends that a server refused.
    refused: f64,
}

impl Row {
    pub(crate) const HEAD: &'static str =
        "client                                 wait mean s   p99 s served %   429 %";

    fn of(client: &'static str, tallies: &[Tally]) -> Self {
        let mean = |of: &dyn Fn(&Tally) -> f64| {
            tallies.iter().map(of).sum::<f64>() / tallies.len().max(1) as f64
        };
        Self {
            client,
            wait_mean_s: mean(&Tally::mean_wait),
            wait_p99_s: mean(&|tally| tally.wait(0.99, |_| true)),
            served: mean(&|tally| share(tally.admitted, tally.jobs)),
            refused: mean(&|tally| share(tally.refused, tally.sends)),
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<38} {:>11.2} {:>7.2} {:>8.2} {:>7.2}",
            self.client,
            self.wait_mean_s,
            self.wait_p99_s,
            100.0 * self.served,
            100.0 * self.refused,
        )
    }
}

/// Every strategy of the pool, and a round robin without one.
pub(crate) fn rows(seeds: u64, length: Duration) -> impl Iterator<Item = Result<Row, BoxError>> {
    let pool = [
        (
            "key-rotation-layer earliest-slot",
            Strategy::earliest_slot(),
        ),
        ("key-rotation-layer round-robin", Strategy::round_robin()),
        ("key-rotation-layer weighted", Strategy::weighted()),
        (
            "key-rotation-layer least-recently-used",
            Strategy::least_recently_used(),
        ),
        ("key-rotation-layer fill-first", Strategy::fill_first()),
    ];
    let pool = pool.map(|(client, strategy)| (client, Some(strategy)));
    let clients = [("round robin by hand", None)].into_iter().chain(pool);
    clients.map(move |(client, strategy)| row(client, strategy.as_ref(), seeds, length))
}

fn row(
    client: &'static str,
    strategy: Option<&Strategy>,
    seeds: u64,
    length: Duration,
) -> Result<Row, BoxError> {
    let tallies = (1..=seeds).map(|seed| paused(seed, run(seed, strategy.cloned(), length)));
    let tallies: Vec<_> = tallies.collect::<Result<_, _>>()?;
    Ok(Row::of(client, &tallies))
}

async fn run(seed: u64, strategy: Option<Strategy>, length: Duration) -> Result<Tally, BoxError> {
    let accounts = Account::all(&ACCOUNTS);
    let upstream = accounts.iter().map(|account| {
        let limits = Limits::per_minute(account.per_minute.into());
        (account.credential(), limits)
    });
    let network = Network::of_accounts(seed, upstream);
    let limiter = limiter(&accounts);
    let paced = RateLimitLayer::new(limiter.clone()).layer(network.clone());
    let caller = match strategy {
        None => Caller::new(
            Retry429Layer::new().layer(ByHand::new(accounts, paced)),
            Retry::Within,
        ),
        Some(strategy) => {
            let mut pool = KeyPool::builder().strategy(strategy);
            for account in &accounts {
                let Account {
                    id,
                    key,
                    per_minute,
                } = account.clone();
                let account = key_rotation_layer::Account::new(id).key(key);
                pool = pool.push(account.weight(per_minute));
            }
            let rotation = KeyRotationLayer::new(pool.build()?).headroom(limiter);
            let service = Retry429Layer::new().layer(rotation.layer(paced));
            Caller::new(service, Retry::Within)
        }
    };

    let total: u32 = ACCOUNTS.iter().sum();
    let rate = LOAD * f64::from(total) / 60.0;
    let job = |id, born| {
        let mut job = Job::new(&WORKLOAD, seed, id, born);
        job.start_by = Some(born + PATIENCE);
        job
    };
    arrive(job, &caller, &network, seed, rate, length).await;
    Ok(network.take_tally())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_slot_waits_less_than_a_round_robin() {
        let length = Duration::from_secs(5 * 60);
        let row = |strategy: Option<&Strategy>| row("", strategy, 1, length).unwrap();
        let (by_hand, earliest) = (row(None), row(Some(&Strategy::earliest_slot())));
        assert!(
            earliest.wait_mean_s < 0.1 * by_hand.wait_mean_s,
            "{by_hand}\n{earliest}"
        );
        assert!(earliest.served > by_hand.served, "{by_hand}\n{earliest}");
        assert!(earliest.refused < 0.01, "{earliest}");
    }
}
