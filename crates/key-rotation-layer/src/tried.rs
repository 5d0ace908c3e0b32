use throttle_signal::{AccountId, Fingerprint};

/// Who was asked for one attempt, so that nobody is asked twice.
#[derive(Debug, Default)]
pub(crate) struct Tried {
    accounts: Vec<AccountId>,
    keys: Vec<Fingerprint>,
}

impl Tried {
    pub(crate) const fn nobody() -> Self {
        Self {
            accounts: Vec::new(),
            keys: Vec::new(),
        }
    }

    pub(crate) fn add_account(&mut self, account: AccountId) {
        self.accounts.push(account);
    }

    pub(crate) fn add_key(&mut self, key: Fingerprint) {
        self.keys.push(key);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.keys.is_empty()
    }

    pub(crate) fn has_account(&self, account: &AccountId) -> bool {
        self.accounts.contains(account)
    }

    pub(crate) fn has_key(&self, key: &Fingerprint) -> bool {
        self.keys.contains(key)
    }
}
