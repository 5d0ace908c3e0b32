use std::fmt;

use tokio::time::Instant;

use crate::{AccountId, Fingerprint, RequestFacts};

/// Knows when a request could be sent on an account. A pool asks, a limiter answers.
pub trait Headroom: fmt::Debug + Send + Sync {
    /// The earliest moment at which `account` has room for this request, not before `now`.
    ///
    /// `None` when it never has, or not until something changes. An account or model without a
    /// quota always has room. The answer is a forecast, not a reservation.
    fn earliest(&self, account: &AccountId, facts: &RequestFacts, now: Instant) -> Option<Instant>;

    /// Hands back those that wait for room on `account`, with this key or for this model if one is
    /// named, without sending them: it is known by now that the upstream would refuse them. Who has
    /// room and waits for the service below to send it is handed back, too.
    ///
    /// Whoever holds nobody back need not do anything, which is the default.
    fn recall(&self, account: &AccountId, key: Option<&Fingerprint>, model: Option<&str>) {
        let _ = (account, key, model);
    }
}
