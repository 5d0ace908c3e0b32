use std::fmt;
use std::time::Duration;

use model_studio_sim::{Charging, Limits, Unit};
use serde::Serialize;
use throttle_signal::Tenant;
use tower::BoxError;

use crate::client::Setting;
use crate::draw::{Draw, LogNormal};
use crate::job::{Answer, Job, Workload};
use crate::network::Network;
use crate::run::{arrive, paused};
use crate::server::Quota;
use crate::tally::{Tally, share};

const QUOTA: Quota = Quota {
    per_second: None,
    per_minute: 600,
    tokens_per_minute: 1_000_000,
    tokens_per_second: None,
};

/// Sizes differ widely, as between tenants they do; 1 550 tokens on average.
const WORKLOAD: Workload = Workload {
    prompt: LogNormal {
        median: 665.7,
        sigma: 1.3,
    },
    size: (20.0, 60_000.0),
    answer: Answer::Known(16),
    service: LogNormal {
        median: 1.5,
        sigma: 0.6,
    },
};

/// Requests a second: 92 % of what the quota lets through.
const RATE: f64 = 9.2;

/// Of four tenants the first has this share of the traffic, the others the rest in equal parts.
const HEAVY: f64 = 0.7;

/// One way of queueing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Row {
    server: &'static str,
    client: &'static str,
    utilisation: f64,
    refused: f64,
    lost: f64,
    /// Of the tenant with most of the traffic.
    heavy_wait_p99_s: f64,
    others_wait_p50_s: f64,
    others_wait_p99_s: f64,
}

impl Row {
    pub(crate) const HEAD: &'static str = "server             client                  used %   429 %  lost % heavy p99 s others p50 s others p99 s";

    fn of(client: &'static str, tallies: &[Tally], length: Duration) -> Self {
        let mean = |of: &dyn Fn(&Tally) -> f64| {
            tallies.iter().map(of).sum::<f64>() / tallies.len().max(1) as f64
        };
        let requests = QUOTA.capacity(Unit::Requests, length);
        Self {
            server: "one tenant at 70 %",
            client,
            utilisation: mean(&|tally| tally.admitted as f64 / requests),
            refused: mean(&|tally| share(tally.refused, tally.sends)),
            lost: mean(&|tally| share(tally.lost, tally.jobs)),
            heavy_wait_p99_s: mean(&|tally| tally.wait(0.99, |tenant| tenant == 0)),
            others_wait_p50_s: mean(&|tally| tally.wait(0.5, |tenant| tenant != 0)),
            others_wait_p99_s: mean(&|tally| tally.wait(0.99, |tenant| tenant != 0)),
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<18} {:<22} {:>7.2} {:>7.2} {:>7.3} {:>11.2} {:>12.2} {:>12.2}",
            self.server,
            self.client,
            100.0 * self.utilisation,
            100.0 * self.refused,
            100.0 * self.lost,
            self.heavy_wait_p99_s,
            self.others_wait_p50_s,
            self.others_wait_p99_s,
        )
    }
}

/// The limiter told of one tenant, and told of all four.
pub(crate) fn rows(seeds: u64, length: Duration) -> impl Iterator<Item = Result<Row, BoxError>> {
    let clients = [("rate-limit-layer fifo", false), ("rate-limit-layer", true)];
    clients.into_iter().map(move |(client, told)| {
        let tallies = (1..=seeds).map(|seed| paused(seed, run(seed, told, length)));
        let tallies: Vec<_> = tallies.collect::<Result<_, _>>()?;
        Ok(Row::of(client, &tallies, length))
    })
}

async fn run(seed: u64, told: bool, length: Duration) -> Result<Tally, BoxError> {
    let limits = Limits::per_minute(QUOTA.per_minute.into())
        .tokens_per_minute(QUOTA.tokens_per_minute.into())
        .charging(Charging::MaxUpFront);
    let network = Network::new(seed, limits);
    let caller = Setting::default().caller(QUOTA, network.clone());
    let job = |id, born| {
        let mut job = Job::new(&WORKLOAD, seed, id, born);
        job.tenant = tenant(seed, id);
        if told {
            job.mark = Some(Tenant::from(["a", "b", "c", "d"][job.tenant]));
        }
        job
    };
    arrive(job, &caller, &network, seed, RATE, length).await;
    Ok(network.take_tally())
}

fn tenant(seed: u64, id: u64) -> usize {
    let mut rng = Draw::Tenant.of(seed, id);
    if rng.f64() < HEAVY {
        0
    } else {
        rng.usize(1..4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_with_most_of_the_traffic_waits_for_itself() {
        let length = Duration::from_secs(15 * 60);
        let rows: Vec<_> = rows(1, length).collect::<Result<_, _>>().unwrap();
        let [fifo, fair] = &rows[..] else {
            panic!("two rows")
        };
        assert!(
            fair.others_wait_p99_s < fifo.others_wait_p99_s,
            "{fifo}\n{fair}"
        );
        assert!(fair.heavy_wait_p99_s > fair.others_wait_p99_s, "{fair}");
        assert!(
            (fair.utilisation - fifo.utilisation).abs() < 0.02,
            "{fifo}\n{fair}"
        );
    }
}
