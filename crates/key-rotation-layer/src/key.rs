use std::fmt;
use std::hash::{DefaultHasher, Hasher};

use secrecy::{ExposeSecret, SecretString};
use throttle_signal::{AccountId, Fingerprint};

use crate::InvalidPool;
use crate::credential::Credential;

/// A key at rest: wiped when dropped, shown by its fingerprint only.
pub(crate) struct Key {
    secret: SecretString,
    fingerprint: Fingerprint,
}

impl Key {
    /// Takes a key of `account`, if it can be sent.
    pub(crate) fn checked(secret: SecretString, account: &AccountId) -> Result<Self, InvalidPool> {
        if secret.expose_secret().trim().is_empty() {
            return Err(InvalidPool::EmptyKey(account.clone()));
        }
        if !Credential::accepts(&secret) {
            return Err(InvalidPool::UnsendableKey(account.clone()));
        }
        let fingerprint = fingerprint(secret.expose_secret());
        Ok(Self {
            secret,
            fingerprint,
        })
    }

    pub(crate) fn secret(&self) -> &SecretString {
        &self.secret
    }

    pub(crate) fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }
}

/// Four bytes of a hash: enough to tell the keys of a pool apart, too little to find one by.
///
/// No part of the key itself: the last characters, which many tools show, are a quarter of a short
/// key.
fn fingerprint(secret: &str) -> Fingerprint {
    let mut hasher = DefaultHasher::new();
    hasher.write(secret.as_bytes());
    Fingerprint::new(format!("{:08x}", hasher.finish() >> 32))
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.fingerprint)
    }
}
