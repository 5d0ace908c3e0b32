use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::builder::Settings;
use super::fault::Fault;
use super::ledger::{Ledger, PartitionLedger};
use super::writer::Writer;
use crate::Partition;

/// Everything that outlives a request.
pub(super) struct World {
    pub(super) settings: Settings,
    pub(super) writer: Writer,
    /// Seconds since 1970 at the start, for `created`.
    epoch: u64,
    start: Instant,
    keys: HashMap<String, Key>,
    models: HashMap<String, usize>,
    /// Account after account, each with every model.
    partitions: Vec<Mutex<Counted>>,
    requests: AtomicU64,
    calls: AtomicU64,
    invalid_keys: AtomicU64,
}

struct Key {
    place: KeyPlace,
    revoked: AtomicBool,
}

/// Where a key belongs.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyPlace {
    pub(super) account: usize,
    key: usize,
}

#[derive(Debug)]
pub(super) struct Counted {
    pub(super) partition: Partition,
    /// Requests by key of the account.
    keys: Vec<u64>,
    faults: BTreeMap<&'static str, u64>,
}

impl World {
    pub(super) fn new(settings: Settings, epoch: u64) -> Self {
        let keys = settings
            .accounts
            .iter()
            .enumerate()
            .flat_map(|(account, of)| {
                let known = move |(key, text): (usize, &String)| {
                    let place = KeyPlace { account, key };
                    let revoked = AtomicBool::new(false);
                    (text.clone(), Key { place, revoked })
                };
                of.keys.iter().enumerate().map(known)
            });
        let models = settings.models.iter().enumerate();
        let partitions = settings.accounts.iter().flat_map(|account| {
            settings.models.iter().map(|(_, limits)| {
                Mutex::new(Counted {
                    partition: Partition::new(limits.clone()),
                    keys: vec![0; account.keys.len()],
                    faults: BTreeMap::new(),
                })
            })
        });
        Self {
            writer: Writer::new(),
            epoch,
            start: Instant::now(),
            keys: keys.collect(),
            models: models.map(|(at, (name, _))| (name.clone(), at)).collect(),
            partitions: partitions.collect(),
            requests: AtomicU64::new(0),
            calls: AtomicU64::new(0),
            invalid_keys: AtomicU64::new(0),
            settings,
        }
    }

    pub(super) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Seconds since 1970.
    pub(super) fn created(&self) -> u64 {
        self.epoch + self.now().as_secs()
    }

    /// A number for a new request, from 1.
    pub(super) fn number(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A number for a new request for a model, from 1.
    pub(super) fn next_call(&self) -> u64 {
        self.calls.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Whose key it is. One that nobody has is counted, an empty one among them.
    pub(super) fn key(&self, key: &str) -> Option<KeyPlace> {
        let known = self.keys.get(key).filter(|_| !key.is_empty());
        let known = known.filter(|known| !known.revoked.load(Ordering::Relaxed));
        let place = known.map(|known| known.place);
        if place.is_none() {
            self.invalid_keys.fetch_add(1, Ordering::Relaxed);
        }
        place
    }

    /// Lets a key be nobody's from now on; whether it was somebody's.
    pub(super) fn revoke(&self, key: &str) -> bool {
        let known = self.keys.get(key);
        known.is_some_and(|known| !known.revoked.swap(true, Ordering::Relaxed))
    }

    /// Which partition a request belongs to. `None`: no such model.
    pub(super) fn slot(&self, place: KeyPlace, model: &str) -> Option<usize> {
        let model = self.models.get(model)?;
        Some(place.account * self.settings.models.len() + model)
    }

    /// The state of a partition. Held for as long as one decision takes.
    pub(super) fn partition(&self, slot: usize) -> Option<MutexGuard<'_, Counted>> {
        let counted = self.partitions.get(slot)?;
        Some(counted.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn ledger(&self) -> Ledger {
        let names = self.settings.accounts.iter().flat_map(|account| {
            let models = self.settings.models.iter();
            models.map(move |(model, _)| (account, model))
        });
        let partitions = names.enumerate().filter_map(|(slot, (account, model))| {
            let counted = self.partition(slot)?;
            Some(PartitionLedger {
                account: account.name.clone(),
                model: model.clone(),
                tally: counted.partition.tally(),
                keys: account
                    .keys
                    .iter()
                    .cloned()
                    .zip(counted.keys.iter().copied())
                    .filter(|(_, requests)| *requests > 0)
                    .collect(),
                faults: counted
                    .faults
                    .iter()
                    .map(|(name, times)| ((*name).to_owned(), *times))
                    .collect(),
            })
        });
        Ledger {
            seconds: self.now().as_secs_f64(),
            invalid_keys: self.invalid_keys.load(Ordering::Relaxed),
            partitions: partitions.collect(),
        }
    }
}

impl Counted {
    pub(super) fn count_fault(&mut self, fault: &Fault) {
        *self.faults.entry(fault.name()).or_default() += 1;
    }

    pub(super) fn count_key(&mut self, place: KeyPlace) {
        if let Some(requests) = self.keys.get_mut(place.key) {
            *requests += 1;
        }
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
