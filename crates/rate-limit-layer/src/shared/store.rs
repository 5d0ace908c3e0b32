use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use super::builder::SharedStoreBuilder;
use super::driver::StoreDriver;
use super::error::ConnectError;
use super::failure::Failure;
use super::local::LocalStore;
use super::outage::Outage;
use super::server::Server;
use super::wire::{Call, Reply};
use crate::partition::Partition;

/// A store that instances share: a cheap handle, the same for all its clones.
///
/// One handle is one member of the fleet. Give it to [`LimiterBuilder::shared`], and spawn the
/// [`StoreDriver`] that came with it.
///
/// [`LimiterBuilder::shared`]: crate::LimiterBuilder::shared
#[derive(Clone)]
pub struct SharedStore {
    handle: Arc<Handle>,
}

/// Ends the driver when it is dropped.
struct Handle {
    inner: Arc<Inner>,
}

/// What a store, its driver and its members share.
pub(crate) struct Inner {
    backend: Backend,
    pub(super) outage: Outage,
    pub(super) time_limit: Duration,
    prefix: String,
    instance: String,
    members: Mutex<Members>,

    /// Tells the driver that a member has something to call for, or that it is to end.
    pub(super) called: Notify,
    ended: AtomicBool,
    down: AtomicBool,

    /// The most members of any partition, in bits of a double.
    most_members: AtomicU64,
    stats: Mutex<StoreStats>,
}

pub(super) enum Backend {
    Server(Box<Server>),
    Local(LocalStore),
}

#[derive(Default)]
struct Members {
    all: Vec<Option<Weak<Partition>>>,
    ready: Vec<usize>,
}

/// What one instance has asked of the store since it joined.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct StoreStats {
    /// Calls for slots, answered or not.
    pub reserve_calls: u64,

    /// Slots granted.
    pub grants: u64,

    /// Calls that told what others are to know, or that nothing changed.
    pub other_calls: u64,

    /// Calls for slots that were granted none.
    pub refused_calls: u64,

    /// Calls not answered in time, or with an error.
    pub failed_calls: u64,

    /// Slots given back, because nobody took them in time.
    pub returned: u64,

    /// Partitions that are shared now.
    pub partitions: usize,

    /// Partitions that go on without the store now.
    pub in_outage: usize,

    /// The most instances that were known to share one partition.
    pub instances: u64,
}

impl SharedStore {
    /// Connects to Redis or Valkey with what is set by default; see [`SharedStore::builder`].
    ///
    /// # Errors
    ///
    /// If nobody answers, or the server will not do, with one sentence that says why.
    pub async fn connect(url: &str) -> Result<(Self, StoreDriver), ConnectError> {
        Self::builder().connect(url).await
    }

    /// Sets more than a URL.
    pub fn builder() -> SharedStoreBuilder {
        SharedStoreBuilder::new()
    }

    pub(super) fn new(backend: Backend, builder: SharedStoreBuilder) -> (Self, StoreDriver) {
        let inner = Arc::new(Inner {
            backend,
            outage: builder.outage,
            time_limit: builder.time_limit,
            prefix: builder.prefix,
            instance: builder.instance,
            members: Mutex::default(),
            called: Notify::new(),
            ended: AtomicBool::new(false),
            down: AtomicBool::new(false),
            most_members: AtomicU64::new(0),
            stats: Mutex::default(),
        });
        let driver = StoreDriver::new(Arc::clone(&inner));
        let handle = Arc::new(Handle { inner });
        (Self { handle }, driver)
    }

    /// Counts what this instance has asked of the store.
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        let inner = self.inner();
        let partitions: Vec<_> = inner.partitions();
        StoreStats {
            partitions: partitions.len(),
            in_outage: partitions.iter().filter(|one| one.is_out()).count(),
            instances: super::number::cast(inner.members()),
            ..*lock(&inner.stats)
        }
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.handle.inner
    }
}

impl Inner {
    /// Makes `partition` known to the driver, under the number returned.
    pub(crate) fn enlist(&self, partition: &Arc<Partition>) -> usize {
        let mut members = lock(&self.members);
        let weak = Some(Arc::downgrade(partition));
        let is_gone =
            |one: &Option<Weak<Partition>>| one.as_ref().is_none_or(|one| one.strong_count() == 0);
        let id = members.all.iter().position(is_gone);
        match id.and_then(|id| members.all.get_mut(id)) {
            Some(free) => *free = weak,
            None => members.all.push(weak),
        }
        id.unwrap_or(members.all.len() - 1)
    }

    /// A member has something to call for.
    pub(super) fn poke(&self, id: usize) {
        lock(&self.members).ready.push(id);
        self.called.notify_one();
    }

    pub(super) fn take_ready(&self) -> Vec<usize> {
        std::mem::take(&mut lock(&self.members).ready)
    }

    pub(super) fn partition(&self, id: usize) -> Option<Arc<Partition>> {
        lock(&self.members).all.get(id)?.as_ref()?.upgrade()
    }

    pub(super) fn partitions(&self) -> Vec<Arc<Partition>> {
        let members = lock(&self.members);
        let all = members.all.iter().flatten();
        all.filter_map(Weak::upgrade).collect()
    }

    pub(super) async fn call(&self, partition: &Partition, call: &Call) -> Result<Reply, Failure> {
        let key = partition.store_key(&self.prefix);
        let answer = match &self.backend {
            Backend::Server(server) => server.call(&key, call).await?,
            Backend::Local(local) => timeout(self.time_limit, local.call(&key, call))
                .await
                .map_err(|_| Failure::Late)?,
        };
        Reply::read(&answer).ok_or(Failure::Garbled)
    }

    /// The name of a member.
    pub(super) fn member(&self, id: usize) -> Vec<u8> {
        format!("{}/{id}", self.instance).into_bytes()
    }

    pub(super) fn outage(&self) -> Outage {
        self.outage
    }

    pub(super) fn is_down(&self) -> bool {
        self.down.load(Ordering::Relaxed)
    }

    /// The store answered, or did not. Returns whether that is news.
    pub(super) fn set_down(&self, down: bool) -> bool {
        self.down.swap(down, Ordering::Relaxed) != down
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    pub(super) fn members(&self) -> f64 {
        f64::from_bits(self.most_members.load(Ordering::Relaxed))
    }

    pub(super) fn saw(&self, members: f64) {
        if members > self.members() {
            self.most_members
                .store(members.to_bits(), Ordering::Relaxed);
        }
    }

    pub(super) fn count(&self, count: impl FnOnce(&mut StoreStats)) {
        count(&mut lock(&self.stats));
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.inner.ended.store(true, Ordering::Relaxed);
        self.inner.called.notify_one();
    }
}

impl fmt::Debug for SharedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner().fmt(f)
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the server: its URL may hold a password.
        f.debug_struct("SharedStore")
            .field("prefix", &self.prefix)
            .field("instance", &self.instance)
            .field("outage", &self.outage)
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
