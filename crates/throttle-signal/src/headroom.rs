use std::fmt;

use tokio::time::Instant;

use crate::{AccountId, RequestFacts};

/// Knows when a request could be sent on an account. A pool asks, a limiter answers.
pub trait Headroom: fmt::Debug + Send + Sync {
    /// The earliest moment at which `account` has room for this request, not before `now`.
    ///
    /// `None` when it never has, or not until something changes. An account or model without a
    /// quota always has room. The answer is a forecast, not a reservation.
    fn earliest(&self, account: &AccountId, facts: &RequestFacts, now: Instant) -> Option<Instant>;
}
