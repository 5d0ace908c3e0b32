use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use hashbrown::HashTable;
use throttle_signal::AccountId;

use crate::partition::Partition;

/// All partitions, by account and model. Those that are idle are forgotten as others are asked for.
#[derive(Debug)]
pub(crate) struct Registry {
    shards: Box<[RwLock<Shard>]>,
    hasher: RandomState,

    /// When the next shard is to be swept, and which.
    due: AtomicU64,
    turn: AtomicUsize,
}

/// A table rather than a map: the names that partitions are found by are their own, kept once.
type Shard = HashTable<Arc<Partition>>;

/// As many as keep a sweep short: of a million partitions it looks at eight thousand.
const SHARDS: usize = 128;

/// How often all shards are swept, and how far apart in time, in nanoseconds.
const EVERY: u64 = 60_000_000_000;
const APART: u64 = EVERY / SHARDS as u64;

/// After how many partitions the rest is left to the next request.
const ENOUGH: usize = 1000;

impl Registry {
    pub(crate) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            hasher: RandomState::new(),
            due: AtomicU64::new(0),
            turn: AtomicUsize::new(0),
        }
    }

    /// The partition of these names, if there is one.
    pub(crate) fn get(
        &self,
        account: Option<&AccountId>,
        model: Option<&str>,
    ) -> Option<Arc<Partition>> {
        let hash = self.hash(account, model);
        let shard = self.shard(hash)?.read();
        let shard = shard.unwrap_or_else(PoisonError::into_inner);
        shard
            .find(hash, |found| found.is_of(account, model))
            .cloned()
    }

    /// The partition of these names, made by `new` if there is none.
    pub(crate) fn get_or_insert(
        &self,
        account: Option<&AccountId>,
        model: Option<&str>,
        new: impl FnOnce() -> Partition,
    ) -> Arc<Partition> {
        let hash = self.hash(account, model);
        let Some(shard) = self.shard(hash) else {
            return Arc::new(new());
        };
        let is_it = |found: &Arc<Partition>| found.is_of(account, model);
        {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(found) = shard.find(hash, is_it) {
                return Arc::clone(found);
            }
        }
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        // Made under the lock: whoever changes a plan and then looks for its partitions misses none.
        let entry = shard
            .entry(hash, is_it, |kept| self.hash_of(kept))
            .or_insert_with(|| Arc::new(new()));
        Arc::clone(entry.get())
    }

    /// Every partition there is.
    pub(crate) fn all(&self) -> Vec<Arc<Partition>> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            all.extend(shard.iter().cloned());
        }
        all
    }

    /// Sweeps the shards that are due at `now`, or some of them.
    pub(crate) fn sweep_due(&self, now: u64) {
        let mut looked = 0;
        let mut due = self.due.load(Ordering::Relaxed);
        while due <= now && looked < ENOUGH {
            // After a pause every shard is due, but none of them twice.
            let next = due.max(now.saturating_sub(EVERY)).saturating_add(APART);
            let taken = self
                .due
                .compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed);
            if taken.is_err() {
                return; // another thread is at it
            }
            due = next;
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            if let Some(shard) = self.shards.get(turn % SHARDS) {
                looked += self.sweep_shard(shard, now);
            }
        }
    }

    /// Forgets every partition that is idle at `now`.
    pub(crate) fn sweep(&self, now: u64) {
        for shard in &self.shards {
            self.sweep_shard(shard, now);
        }
    }

    /// Sweeps one shard, and returns how many it looked at.
    fn sweep_shard(&self, shard: &RwLock<Shard>, now: u64) -> usize {
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        let looked = shard.len();
        // Who holds a permit or waits holds the partition as well; under this lock nobody new does.
        shard.retain(|partition| Arc::strong_count(partition) > 1 || !partition.is_idle(now));
        if shard.len() < shard.capacity() / 4 {
            shard.shrink_to_fit(|kept| self.hash_of(kept));
        }
        looked
    }

    fn shard(&self, hash: u64) -> Option<&RwLock<Shard>> {
        // The table takes its place from the lowest bits and its tag from the highest.
        let index = usize::try_from(hash >> 32 & 0xffff).unwrap_or_default();
        self.shards.get(index % SHARDS)
    }

    fn hash_of(&self, partition: &Partition) -> u64 {
        self.hash(partition.account.as_ref(), partition.model.as_deref())
    }

    fn hash(&self, account: Option<&AccountId>, model: Option<&str>) -> u64 {
        self.hasher
            .hash_one((account.map(AccountId::as_str), model))
    }
}
