use std::time::Duration;

use secrecy::SecretString;
use throttle_signal::AccountId;

use crate::bench::YEAR;
use crate::{Account, InvalidPool, KeyPool, Strategy};

/// Builds a [`KeyPool`].
#[derive(Debug)]
#[must_use]
pub struct KeyPoolBuilder {
    pub(crate) accounts: Vec<Account>,
    pub(crate) strategy: Strategy,
    pub(crate) probe_every: Duration,
}

impl KeyPoolBuilder {
    pub(crate) const fn new() -> Self {
        Self {
            accounts: Vec::new(),
            strategy: Strategy::earliest_slot(),
            probe_every: Duration::from_secs(15 * 60),
        }
    }

    /// Adds an account whose keys go as `Authorization: Bearer` to any host.
    pub fn account<K: Into<SecretString>>(
        self,
        id: impl Into<AccountId>,
        keys: impl IntoIterator<Item = K>,
    ) -> Self {
        self.push(Account::new(id).keys(keys))
    }

    /// Adds an account.
    pub fn push(mut self, account: Account) -> Self {
        self.accounts.push(account);
        self
    }

    /// Sets how accounts are picked. [`Strategy::earliest_slot`] if not set.
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// Sets how often an account or key is tried again whose refusal does not say when it is over,
    /// such as a revoked key or a quota without a reset. 15 minutes if not set.
    ///
    /// One request goes at a time. The last key, when all others are out like this, is tried again
    /// sooner, within a minute. More than a year counts as one.
    pub fn probe_every(mut self, pause: Duration) -> Self {
        self.probe_every = pause.min(YEAR);
        self
    }

    /// Builds the pool. It needs no runtime.
    ///
    /// # Errors
    ///
    /// There is no account, two have one name, an account has no key, or a key is empty or cannot be
    /// sent.
    pub fn build(self) -> Result<KeyPool, InvalidPool> {
        KeyPool::from_builder(self)
    }
}
