use std::time::Duration;

use governor::clock::Clock;
use tokio::time::Instant;

/// tokio's clock for governor, so that tests can pause it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokioClock {
    epoch: Instant,
}

impl TokioClock {
    pub(crate) fn new() -> Self {
        Self {
            epoch: Instant::now(),
        }
    }
}

impl Clock for TokioClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Instant::now().saturating_duration_since(self.epoch)
    }
}
