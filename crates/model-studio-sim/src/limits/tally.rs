use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::refusal::RefusalKind;
use super::window::{Counting, Unit};

/// What has happened in one [`Partition`](crate::Partition) so far.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Tally {
    /// Requests admitted.
    pub requests: u64,
    /// Tokens used by the requests that are over, prompt and answer.
    pub tokens: u64,
    /// Requests refused, by reason.
    pub refused: BTreeMap<RefusalKind, u64>,
    /// The windows, in the order in which they were given to [`Limits`](crate::Limits).
    pub windows: Vec<WindowTally>,
}

impl Tally {
    /// Requests refused for whatever reason.
    #[must_use]
    pub fn refusals(&self) -> u64 {
        self.refused.values().sum()
    }
}

/// One window, and how full it was.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[non_exhaustive]
pub struct WindowTally {
    /// What it counts.
    pub unit: Unit,
    /// How many units pass in one window.
    pub limit: u64,
    /// How long it is, in seconds.
    pub seconds: f64,
    /// How it counts.
    pub counting: Counting,
    /// The most units that were admitted in any half-open interval of the window's length. It is
    /// taken from an exact log however the window itself counts, so that one can see what a fixed
    /// window or a bucket lets through.
    pub highest: u64,
}
