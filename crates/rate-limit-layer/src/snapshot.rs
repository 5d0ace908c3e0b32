use std::sync::Arc;
use std::time::Duration;

use throttle_signal::AccountId;
use tokio::time::Instant;

use crate::Limit;

/// How it stands with one partition, at one moment.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct PartitionSnapshot {
    /// The account, if requests named one.
    pub account: Option<AccountId>,

    /// The model, if requests named one.
    pub model: Option<Arc<str>>,

    /// Each limit, and what is used of it.
    pub limits: Vec<LimitSnapshot>,

    /// How many requests wait.
    pub waiting: usize,

    /// How many are in flight.
    pub in_flight: usize,

    /// When one more request without tokens could be sent; `None` while that depends on an answer.
    pub earliest: Option<Instant>,

    /// How much longer than its window a request counts; see
    /// [`LimiterBuilder::guard`](crate::LimiterBuilder::guard) for windows longer than a second.
    pub guard: Duration,

    /// The share of the limits that is taken for ours, from 0 to 1.
    pub scale: f64,

    /// Until when it is held back after a refusal, if it is.
    pub frozen_until: Option<Instant>,
}

/// How it stands with one limit.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LimitSnapshot {
    /// The limit as it was set.
    pub limit: Limit,

    /// How much of it is used. More than the limit is debt: estimates were too low, or the quota
    /// was cut.
    pub used: u64,
}
