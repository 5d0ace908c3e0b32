use std::sync::{Arc, Weak};
use std::thread::panicking;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::yield_now;
use tokio::time::sleep;

use crate::clock::Clock;
use crate::registry::{Registry, SHARDS};

/// Forgets idle partitions for as long as there are many, whether requests come or not: a task of its
/// own, that does a little at a time.
pub(crate) struct Sweeper {
    registry: Weak<Registry>,
    clock: Arc<Clock>,
}

/// How often it looks at all of them.
const EVERY: Duration = Duration::from_secs(30);

impl Sweeper {
    /// Begins to sweep on the current runtime. Without one, requests do it as they come.
    pub(crate) fn spawn(registry: &Arc<Registry>, clock: &Arc<Clock>) {
        let sweeper = Self {
            registry: Arc::downgrade(registry),
            clock: Arc::clone(clock),
        };
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(sweeper.run());
        }
    }

    async fn run(self) {
        while self.registry.upgrade().is_some_and(|it| it.is_crowded()) {
            sleep(EVERY).await;
            for shard in 0..SHARDS {
                while !self.sweep_part(shard) {
                    yield_now().await;
                }
                yield_now().await;
            }
        }
    }

    /// Returns whether nothing is left of the shard to look at.
    fn sweep_part(&self, shard: usize) -> bool {
        let registry = self.registry.upgrade();
        registry.is_none_or(|it| it.sweep_part(shard, self.clock.now()))
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        // On a runtime without timers it panics, and so would the next.
        if let Some(registry) = self.registry.upgrade().filter(|_| !panicking()) {
            registry.dismiss_sweeper();
        }
    }
}
