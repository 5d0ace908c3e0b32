use std::time::Duration;

use super::window::nanos;

/// A limit on how quickly the request rate may grow: Model Studio's burst protection.
///
/// In any `interval` at most `percent` of what passed in the interval before it may pass, and
/// `floor` requests in any case. It refuses a client that is well inside its quota but starts too
/// fast, and its threshold falls again while the client is idle. The provider does not publish its
/// rule; this one has the two properties that callers report.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Growth {
    pub(super) floor: u64,
    pub(super) percent: u32,
    pub(super) interval: u64,
}

impl Growth {
    /// At most `percent` of the interval before (150: half as many again), or `floor` requests.
    ///
    /// An `interval` of 0 is taken as one nanosecond. With a `percent` below 100 the rate can
    /// only fall.
    #[must_use]
    pub const fn new(floor: u64, percent: u32, interval: Duration) -> Self {
        let interval = match nanos(interval) {
            0 => 1,
            nanos => nanos,
        };
        Self {
            floor,
            percent,
            interval,
        }
    }

    /// How many may pass in an interval after one in which `before` passed.
    pub(super) fn allowed(&self, before: u64) -> u64 {
        let grown = u128::from(before) * u128::from(self.percent) / 100;
        self.floor.max(u64::try_from(grown).unwrap_or(u64::MAX))
    }
}
