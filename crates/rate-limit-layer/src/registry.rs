use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use throttle_signal::AccountId;

use crate::partition::Partition;

/// All partitions, by account and model. Those that are idle are forgotten as others are asked for.
#[derive(Debug)]
pub(crate) struct Registry {
    shards: [RwLock<HashMap<Key, Arc<Partition>>>; SHARDS],
    hasher: RandomState,

    /// When the next shard is to be swept, and which.
    due: AtomicU64,
    turn: AtomicUsize,
}

const SHARDS: usize = 16;

/// How often all shards are swept, in nanoseconds.
const EVERY: u64 = 60_000_000_000;

/// Where a partition is found: its own names, so that they are kept once.
#[derive(Debug)]
struct Key(Arc<Partition>);

/// The names a partition is looked up by, without owning them.
trait Names {
    fn names(&self) -> (Option<&str>, Option<&str>);
}

impl Registry {
    pub(crate) fn new() -> Self {
        Self {
            shards: std::array::from_fn(|_| RwLock::default()),
            hasher: RandomState::new(),
            due: AtomicU64::new(EVERY / SHARDS as u64),
            turn: AtomicUsize::new(0),
        }
    }

    /// The partition of these names, if there is one.
    pub(crate) fn get(
        &self,
        account: Option<&AccountId>,
        model: Option<&str>,
    ) -> Option<Arc<Partition>> {
        let names = (account.map(AccountId::as_str), model);
        let shard = self
            .shard(&names)?
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        shard.get(&names as &dyn Names).cloned()
    }

    /// The partition of these names, made by `new` if there is none.
    pub(crate) fn get_or_insert(
        &self,
        account: Option<&AccountId>,
        model: Option<&str>,
        new: impl FnOnce() -> Partition,
    ) -> Arc<Partition> {
        if let Some(found) = self.get(account, model) {
            return found;
        }
        let names = (account.map(AccountId::as_str), model);
        let Some(shard) = self.shard(&names) else {
            return Arc::new(new());
        };
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = shard.get(&names as &dyn Names) {
            return Arc::clone(found);
        }
        // Under the lock: whoever changes a plan and then looks for its partitions misses none.
        let made = Arc::new(new());
        shard.insert(Key(Arc::clone(&made)), Arc::clone(&made));
        made
    }

    /// Every partition there is.
    pub(crate) fn all(&self) -> Vec<Arc<Partition>> {
        let shards = self
            .shards
            .iter()
            .map(|shard| shard.read().unwrap_or_else(PoisonError::into_inner));
        shards
            .flat_map(|shard| shard.values().cloned().collect::<Vec<_>>())
            .collect()
    }

    /// Sweeps the next shard, if it is due at `now`.
    pub(crate) fn sweep_due(&self, now: u64) {
        let due = self.due.load(Ordering::Relaxed);
        if now < due {
            return;
        }
        let next = now.saturating_add(EVERY / SHARDS as u64);
        if self
            .due
            .compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
        {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            self.sweep_shard(turn % SHARDS);
        }
    }

    /// Forgets every idle partition.
    pub(crate) fn sweep(&self) {
        (0..SHARDS).for_each(|shard| self.sweep_shard(shard));
    }

    fn sweep_shard(&self, shard: usize) {
        let Some(shard) = self.shards.get(shard) else {
            return;
        };
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        // Who holds a permit or waits holds the partition as well; under this lock nobody new does.
        shard.retain(|_, partition| Arc::strong_count(partition) > 2 || !partition.is_idle());
        if shard.len() < shard.capacity() / 4 {
            shard.shrink_to_fit();
        }
    }

    fn shard(
        &self,
        names: &(Option<&str>, Option<&str>),
    ) -> Option<&RwLock<HashMap<Key, Arc<Partition>>>> {
        let hash = self.hasher.hash_one(names);
        self.shards
            .get(usize::try_from(hash >> 60).unwrap_or_default())
    }
}

impl Names for Key {
    fn names(&self) -> (Option<&str>, Option<&str>) {
        (
            self.0.account.as_ref().map(AccountId::as_str),
            self.0.model.as_deref(),
        )
    }
}

impl Names for (Option<&str>, Option<&str>) {
    fn names(&self) -> (Option<&str>, Option<&str>) {
        *self
    }
}

impl<'a> Borrow<dyn Names + 'a> for Key {
    fn borrow(&self) -> &(dyn Names + 'a) {
        self
    }
}

impl Hash for dyn Names + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.names().hash(state);
    }
}

impl PartialEq for dyn Names + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.names() == other.names()
    }
}

impl Eq for dyn Names + '_ {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.names().hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.names() == other.names()
    }
}

impl Eq for Key {}
