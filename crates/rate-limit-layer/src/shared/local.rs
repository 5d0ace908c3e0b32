use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::model::Model;
use super::number::micros;
use super::wire::Call;
use crate::num;

/// A store in this process, with the same arithmetic as the script: for simulations and tests.
///
/// It runs on tokio's clock, so under a paused one a fleet takes no time. All instances join the same one:
///
/// ```
/// use rate_limit_layer::shared::{LocalStore, SharedStore};
/// use rate_limit_layer::{Limiter, Quota};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let local = LocalStore::new();
/// for _ in 0..8 {
///     let (store, driver) = SharedStore::builder().join(&local);
///     tokio::spawn(driver);
///     let _limiter = Limiter::builder()
///         .model("qwen3-max", Quota::new().requests_per_second(10))
///         .shared(store)
///         .build();
/// }
/// # }
/// ```
#[derive(Clone, Default)]
pub struct LocalStore {
    world: Arc<Mutex<World>>,
    epoch: Arc<OnceLock<Instant>>,
}

#[derive(Default)]
struct World {
    models: HashMap<String, Model>,
    latency: Duration,
    unreachable: bool,
}

/// Where its clock begins, in microseconds: not where those of its clients do.
const EPOCH: f64 = 1e15;

impl LocalStore {
    /// Creates an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how long a call takes there and back; no time at first.
    pub fn set_latency(&self, round_trip: Duration) {
        self.lock().latency = round_trip;
    }

    /// Has calls go unanswered, or be answered again. Those under way are lost as well.
    pub fn set_reachable(&self, reachable: bool) {
        self.lock().unreachable = !reachable;
    }

    /// Forgets everything.
    pub fn wipe(&self) {
        self.lock().models.clear();
    }

    pub(super) async fn call(&self, key: &str, call: &Call) -> Vec<u8> {
        let way = self.lock().latency / 2;
        if !way.is_zero() {
            sleep(way).await;
        }
        let answer = {
            let mut world = self.lock();
            if world.unreachable {
                None
            } else {
                let now = Instant::now();
                let since = now.saturating_duration_since(*self.epoch.get_or_init(|| now));
                let now = EPOCH + micros(num::nanos(since)).floor();
                let model = world.models.entry(key.to_owned()).or_default();
                Some(model.call(now, call))
            }
        };
        if !way.is_zero() {
            sleep(way).await;
        }
        match answer {
            Some(answer) if !self.lock().unreachable => answer,
            _ => std::future::pending().await,
        }
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for LocalStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let world = self.lock();
        f.debug_struct("LocalStore")
            .field("partitions", &world.models.len())
            .field("latency", &world.latency)
            .field("reachable", &!world.unreachable)
            .finish()
    }
}
