use std::fmt;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::RateLimiter;
use governor::clock::Clock;
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::HashMapStateStore;
use http::{HeaderMap, HeaderValue};
use throttle_signal::{Kind, Origin, Scope, Throttle, Wait};

use super::clock::TokioClock;
use super::rate::Rate;
use crate::num;

/// The state of all keys.
pub(crate) struct Limit<K: Hash + Eq + Clone> {
    rate: Rate,
    policy: Option<HeaderValue>,
    keys: RateLimiter<K, HashMapStateStore<K>, TokioClock, StateInformationMiddleware>,
    clock: TokioClock,

    /// When keys are to be swept, in nanoseconds on the clock.
    due: AtomicU64,
}

/// What a request is told: admitted, or refused with the wait.
pub(crate) struct Told {
    pub(crate) refused: Option<Throttle>,
    /// What is left and when it is whole again, where that is known.
    left: Option<(u32, Duration)>,
}

impl<K: Hash + Eq + Clone> Limit<K> {
    pub(crate) fn new(rate: Rate) -> Self {
        let clock = TokioClock::new();
        let window = seconds_up(rate.window);
        Self {
            rate,
            policy: HeaderValue::try_from(format!("\"default\";q={};w={window}", rate.most)).ok(),
            keys: RateLimiter::new(rate.quota(), HashMapStateStore::default(), clock),
            clock,
            due: AtomicU64::new(0),
        }
    }

    pub(crate) fn check(&self, key: &K, cost: NonZeroU32) -> Told {
        self.sweep();
        let at_once = self.rate.at_once();
        if cost > at_once {
            return Told::never(); // governor would multiply before it looks
        }
        match self.keys.check_key_n(key, cost) {
            Ok(Ok(state)) => {
                let remaining = state.remaining_burst_capacity();
                Told {
                    refused: None,
                    left: Some((
                        remaining,
                        self.refill(at_once.get().saturating_sub(remaining)),
                    )),
                }
            }
            Ok(Err(until)) => {
                let wait = until.wait_time_from(self.clock.now());
                let throttle = throttle()
                    .with_wait(Wait::Stated(wait))
                    .with_because("the rate of this key is used up");
                Told {
                    refused: Some(throttle),
                    left: Some((0, wait)),
                }
            }
            Err(_) => Told::never(),
        }
    }

    /// Writes what a caller may know, as the IETF draft has it.
    pub(crate) fn write(&self, told: &Told, headers: &mut HeaderMap) {
        let field = told.left.and_then(|(remaining, reset)| {
            let reset = seconds_up(reset);
            HeaderValue::try_from(format!("\"default\";r={remaining};t={reset}")).ok()
        });
        if let Some(field) = field {
            headers.insert("ratelimit", field);
        }
        if let Some(policy) = &self.policy {
            headers.insert("ratelimit-policy", policy.clone());
        }
    }

    /// How many keys are remembered.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    fn refill(&self, cells: u32) -> Duration {
        (self.rate.window / self.rate.most.get()).saturating_mul(cells)
    }

    /// Forgets keys that are as good as new, once in a window.
    fn sweep(&self) {
        let now = num::nanos(self.clock.now());
        let due = self.due.load(Ordering::Relaxed);
        if now < due {
            return;
        }
        let next = now.saturating_add(num::nanos(self.rate.window).max(1_000_000_000));
        if self
            .due
            .compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
        {
            self.keys.retain_recent();
            self.keys.shrink_to_fit();
        }
    }
}

impl Told {
    /// For a request that costs more than may ever come at once.
    fn never() -> Self {
        let throttle = throttle()
            .with_retry(false)
            .with_because("the request costs more than the burst");
        Self {
            refused: Some(throttle),
            left: None,
        }
    }
}

fn throttle() -> Throttle {
    Throttle::new(Kind::RequestRate)
        .with_scope(Scope::Key)
        .with_origin(Origin::Limiter)
}

fn seconds_up(time: Duration) -> u64 {
    time.as_secs()
        .saturating_add(u64::from(time.subsec_nanos() > 0))
}

impl<K: Hash + Eq + Clone> fmt::Debug for Limit<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limit")
            .field("rate", &self.rate)
            .finish_non_exhaustive()
    }
}
