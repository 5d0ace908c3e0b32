use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long a stranger's `insufficient_quota` may be a limit of tokens: two windows of a minute.
const TWO_WINDOWS: Duration = Duration::from_secs(120);

/// The most that is remembered. Whoever meets more strangers at once starts anew.
const STRANGERS: usize = 1024;

/// Since when strangers have said `insufficient_quota` and nothing else.
///
/// It means a minute's limit at one provider and the end of the money at another. The former passes
/// within two windows; what lasts longer is the latter.
#[derive(Debug, Default)]
pub(crate) struct Suspicion {
    // Whether anybody is suspected at all: looked at with each success.
    any: AtomicBool,
    since: Mutex<HashMap<u64, Instant>>,
}

impl Suspicion {
    /// Notes a refusal, and returns whether it has lasted too long for a limit of tokens.
    pub(crate) fn is_confirmed(&self, stranger: u64, now: Instant) -> bool {
        let mut since = self.lock();
        if since.len() >= STRANGERS && !since.contains_key(&stranger) {
            since.clear();
        }
        let first = *since.entry(stranger).or_insert(now);
        self.any.store(true, Ordering::Release);
        now.saturating_duration_since(first) > TWO_WINDOWS
    }

    /// Notes a success; `stranger` says whose, and is asked only if anybody is suspected.
    #[inline]
    pub(crate) fn clear(&self, stranger: impl FnOnce() -> u64) {
        if self.any.load(Ordering::Acquire) {
            self.remove(stranger());
        }
    }

    #[cold]
    fn remove(&self, stranger: u64) {
        let mut since = self.lock();
        since.remove(&stranger);
        self.any.store(!since.is_empty(), Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Instant>> {
        // Nothing panics while holding it.
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
