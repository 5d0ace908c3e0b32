use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota as Rate, RateLimiter};
use model_studio_sim::Unit;
use tokio::time::{Instant, sleep};

use super::paced::{Paced, Pacer};
use crate::network::Network;
use crate::server::Quota;

pub(super) fn over(network: Network, quota: Quota) -> Paced<Limiters, Network> {
    let clock = Paused(Instant::now());
    let limiters = quota.windows().filter_map(|(unit, limit, length)| {
        let limit = NonZeroU32::new(limit.try_into().ok()?)?;
        let rate = match length.as_secs() {
            1 => Rate::per_second(limit),
            _ => Rate::per_minute(limit),
        };
        Some((unit, length, RateLimiter::direct_with_clock(rate, clock)))
    });
    let mut limiters: Vec<_> = limiters.collect();
    // The shortest window last, so that its cell is no older than need be when the request goes.
    limiters.sort_by_key(|(_, length, _)| std::cmp::Reverse(*length));
    let limiters = limiters.into_iter();
    Paced::new(
        Limiters(limiters.map(|(unit, _, limiter)| (unit, limiter)).collect()),
        network,
    )
}

/// A GCRA for each window, with the window's limit as burst: `Quota::per_second(10)` and so on.
#[derive(Debug)]
pub(super) struct Limiters(Vec<(Unit, Limiter)>);

type Limiter = RateLimiter<NotKeyed, InMemoryState, Paused, NoOpMiddleware<Duration>>;

impl Pacer for Limiters {
    /// governor's `until_n_ready`, line by line. Its own sleeps on a timer thread that knows
    /// nothing of a paused clock.
    async fn until_ready(&self, tokens: u64) {
        for (unit, limiter) in &self.0 {
            let cells = match unit {
                Unit::Requests => 1,
                _ => u32::try_from(tokens).unwrap_or(u32::MAX),
            };
            let Some(cells) = NonZeroU32::new(cells) else {
                continue;
            };
            // More than the burst can never pass, which `until_n_ready` says at once: then it is
            // sent without.
            while let Ok(Err(negative)) = limiter.check_n(cells) {
                sleep(negative.wait_time_from(limiter.clock().now())).await;
            }
        }
    }
}

/// tokio's clock for governor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paused(Instant);

impl Clock for Paused {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}
