use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::InvalidPool;
use crate::account::Account;
use crate::bench::Bench;
use crate::member::Member;

/// What took the place of a member in the pool since, the same for all of one account. It learns what
/// requests still in flight hear.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heir(Arc<Mutex<Weak<Member>>>);

impl Heir {
    fn set(&self, heir: &Arc<Member>) {
        *self.lock() = Arc::downgrade(heir);
    }

    /// The heir, unless `member` is it, or there is none.
    pub(crate) fn of(&self, member: &Member) -> Option<Arc<Member>> {
        let heir = self.lock().upgrade();
        heir.filter(|heir| !std::ptr::eq(Arc::as_ptr(heir), member))
    }

    fn lock(&self) -> MutexGuard<'_, Weak<Member>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Member {
    /// The member that takes the place of `old`, going on with what is known of the keys that stay.
    pub(crate) fn succeeding(old: &Self, account: Account) -> Result<Arc<Self>, InvalidPool> {
        let mut new = Self::new(account)?;
        let mut stays = new.keys.iter().map(|key| old.place(key.fingerprint()));
        let same_account = stays.any(|place| place.is_some());
        if same_account {
            new.heir = old.heir.clone();
        }
        let new = Arc::new(new);
        let before = old.lock();
        let mut after = new.lock();
        after.enabled = before.enabled;
        for (key, state) in new.keys.iter().zip(&mut after.keys) {
            let Some(place) = old.place(key.fingerprint()) else {
                continue;
            };
            let known = &before.keys[place];
            state.proven = known.proven;
            state.bench = known.bench.as_ref().map(Bench::without_probe);
        }
        if same_account {
            let models = before.models.iter();
            after.account = before.account.as_ref().map(Bench::without_probe);
            after.models = models
                .map(|(model, bench)| (Arc::clone(model), bench.without_probe()))
                .collect();
            after.paced.clone_from(&before.paced);
            (after.last_used, after.served) = (before.last_used, before.served);
            new.lasting
                .store(old.lasting.load(Ordering::Acquire), Ordering::Release);
            // With the state of the old one locked: what it hears from now on is handed on.
            new.heir.set(&new);
        }
        drop(after);
        Ok(new)
    }
}
