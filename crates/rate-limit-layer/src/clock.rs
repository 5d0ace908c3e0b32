use std::time::Duration;

use tokio::time::Instant;

use crate::{num, sync};

/// The clock of a limiter's partitions: nanoseconds, counted from the limiter's first use.
#[derive(Debug)]
pub(crate) struct Clock {
    epoch: Instant,
}

/// The first use on this clock: far enough from 0 for all that lies before it.
const EPOCH: u64 = 1 << 50;

impl Clock {
    /// The time now.
    pub(crate) fn now(&self) -> u64 {
        self.nanos(sync::now())
    }

    /// A moment on this clock.
    pub(crate) fn nanos(&self, at: Instant) -> u64 {
        match at.checked_duration_since(self.epoch) {
            Some(since) => EPOCH.saturating_add(num::nanos(since)),
            None => EPOCH.saturating_sub(num::nanos(self.epoch.saturating_duration_since(at))),
        }
    }

    /// A time of this clock on tokio's.
    pub(crate) fn instant(&self, nanos: u64) -> Instant {
        let since = nanos.saturating_sub(EPOCH);
        // A century is far enough, and `Instant` need not reach further.
        self.epoch + Duration::from_nanos(since).min(Duration::from_secs(100 * 365 * 24 * 3600))
    }
}

impl From<Instant> for Clock {
    fn from(epoch: Instant) -> Self {
        Self { epoch }
    }
}
