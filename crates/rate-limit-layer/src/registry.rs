use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use hashbrown::HashTable;
use throttle_signal::AccountId;

use crate::partition::Partition;

/// All partitions, by account and model. Those that are idle are forgotten as others are asked for, and
/// by a [`Sweeper`](crate::sweeper::Sweeper) where there are many.
#[derive(Debug)]
pub(crate) struct Registry {
    shards: Box<[RwLock<Shard>]>,
    hasher: RandomState,

    /// When a part of the next shard is to be looked at, [`NEVER`] while someone does, and which
    /// shard that is.
    due: AtomicU64,
    turn: AtomicUsize,

    /// Whether there are many and nobody sweeps them, and whether somebody does.
    wants_sweeper: AtomicBool,
    has_sweeper: AtomicBool,
}

#[derive(Debug, Default)]
struct Shard {
    /// A table rather than a map: the names that partitions are found by are their own, kept once.
    table: HashTable<Arc<Partition>>,

    /// Where the next look begins, in buckets of the table.
    next: usize,
}

/// As many as keep a table small: that of a million partitions grows in about a millisecond.
pub(crate) const SHARDS: usize = 128;

/// How often all shards are looked at, in nanoseconds.
const EVERY: u64 = 60_000_000_000;

/// How many buckets one look takes, and how many partitions it forgets at most. What is left waits
/// for the next request, so that none is held up for long.
const LOOK: usize = 1024;
const FORGET: usize = 256;

/// How many partitions in a shard are many.
const MANY: usize = 32;

const NEVER: u64 = u64::MAX;

impl Registry {
    pub(crate) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            hasher: RandomState::new(),
            due: AtomicU64::new(0),
            turn: AtomicUsize::new(0),
            wants_sweeper: AtomicBool::new(false),
            has_sweeper: AtomicBool::new(false),
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
        let is_it = |found: &Arc<Partition>| found.is_of(account, model);
        shard.table.find(hash, is_it).cloned()
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
            if let Some(found) = shard.table.find(hash, is_it) {
                return Arc::clone(found);
            }
        }
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        // Made under the lock: whoever changes a plan and then looks for its partitions misses none.
        let entry = shard
            .table
            .entry(hash, is_it, |kept| self.hash_of(kept))
            .or_insert_with(|| Arc::new(new()));
        let partition = Arc::clone(entry.get());
        if shard.table.len() > MANY && !self.has_sweeper.load(Ordering::Relaxed) {
            self.wants_sweeper.store(true, Ordering::Relaxed);
        }
        partition
    }

    /// Whether there are many partitions and nobody to sweep them. Whoever is told so is to do it.
    #[inline]
    pub(crate) fn engage_sweeper(&self) -> bool {
        self.wants_sweeper.load(Ordering::Relaxed)
            && self.wants_sweeper.swap(false, Ordering::Relaxed)
            && !self.has_sweeper.swap(true, Ordering::Relaxed)
    }

    /// Nobody sweeps any more.
    pub(crate) fn dismiss_sweeper(&self) {
        self.has_sweeper.store(false, Ordering::Relaxed);
    }

    /// Whether there are still so many that they are to be swept.
    pub(crate) fn is_crowded(&self) -> bool {
        let lens = self.shards.iter().map(|shard| {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            shard.table.len()
        });
        lens.max() > Some(MANY / 2)
    }

    /// Looks at all of shard number `index` in parts; returns whether that was the last of it, or there
    /// is no such shard.
    pub(crate) fn sweep_part(&self, index: usize, now: u64) -> bool {
        let Some(shard) = self.shards.get(index) else {
            return true;
        };
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        let idle = shard.look(now, |kept| self.hash_of(kept));
        let is_last = shard.next == 0;
        drop(shard);
        drop(idle); // not under the lock
        is_last
    }

    /// Every partition there is.
    pub(crate) fn all(&self) -> Vec<Arc<Partition>> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            all.extend(shard.table.iter().cloned());
        }
        all
    }

    /// Looks at what is due at `now`, or some of it, and forgets what is idle.
    pub(crate) fn sweep_due(&self, now: u64) {
        let due = self.due.load(Ordering::Relaxed);
        if now < due {
            return;
        }
        let claimed = self
            .due
            .compare_exchange(due, NEVER, Ordering::Relaxed, Ordering::Relaxed);
        if claimed.is_err() {
            return; // another thread is at it
        }
        // After a pause much is due, but nothing twice.
        let mut due = due.max(now.saturating_sub(EVERY));
        let mut looked = 0;
        while due <= now && looked < LOOK {
            let buckets = self.look(now);
            looked += buckets.clamp(LOOK / SHARDS, LOOK);
            let looks = SHARDS * buckets.div_ceil(LOOK).max(1);
            due = due.saturating_add(EVERY / u64::try_from(looks).unwrap_or(EVERY));
        }
        self.due.store(due, Ordering::Relaxed);
    }

    /// Looks at a part of the next shard; returns how many buckets all of it has.
    fn look(&self, now: u64) -> usize {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let Some(shard) = self.shards.get(turn % SHARDS) else {
            return 0;
        };
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        let idle = shard.look(now, |kept| self.hash_of(kept));
        let buckets = shard.table.num_buckets();
        drop(shard);
        drop(idle); // not under the lock
        buckets
    }

    /// Forgets every partition that is idle at `now`.
    pub(crate) fn sweep(&self, now: u64) {
        for shard in &self.shards {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            shard.table.retain(|partition| !is_idle(partition, now));
            shard.shrink(|kept| self.hash_of(kept));
        }
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

impl Shard {
    /// Looks at the next few buckets and takes out what is idle at `now`.
    fn look(&mut self, now: u64, hasher: impl Fn(&Arc<Partition>) -> u64) -> Vec<Arc<Partition>> {
        let mut idle = Vec::new();
        let until = self.next.saturating_add(LOOK).min(self.table.num_buckets());
        while self.next < until && idle.len() < FORGET {
            if let Ok(entry) = self.table.get_bucket_entry(self.next) {
                if is_idle(entry.get(), now) {
                    idle.push(entry.remove().0);
                }
            }
            self.next += 1;
        }
        if self.next >= self.table.num_buckets() {
            self.next = 0;
            self.shrink(hasher);
        }
        idle
    }

    /// Gives memory back that is hardly used any more. `capacity` does not tell: it leaves out what
    /// was removed but is not free again until the table is made anew.
    fn shrink(&mut self, hasher: impl Fn(&Arc<Partition>) -> u64) {
        if self.table.len() < self.table.num_buckets() / 8 {
            self.table.shrink_to(2 * self.table.len(), hasher);
        }
    }
}

/// Whether nobody uses a partition, and forgetting it would change nothing. Under the lock of its
/// shard: who holds a permit or waits holds the partition as well, and nobody new does.
fn is_idle(partition: &Arc<Partition>, now: u64) -> bool {
    Arc::strong_count(partition) == 1 && partition.is_idle(now)
}
