use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::paced::{Paced, Pacer};
use crate::network::Network;
use crate::server::Quota;

pub(super) fn over(network: Network, quota: Quota) -> Paced<Interval, Network> {
    let interval = Interval {
        gap: Duration::from_secs(60) / quota.per_minute,
        next: Mutex::new(Instant::now()),
    };
    Paced::new(interval, network)
}

/// The advice of Model Studio's users: a queue that sends one request every 60 / RPM seconds.
#[derive(Debug)]
pub(super) struct Interval {
    gap: Duration,
    next: Mutex<Instant>,
}

impl Pacer for Interval {
    async fn until_ready(&self, _tokens: u64) {
        let slot = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let slot = Instant::now().max(*next);
            *next = slot + self.gap;
            slot
        };
        sleep_until(slot).await;
    }
}
