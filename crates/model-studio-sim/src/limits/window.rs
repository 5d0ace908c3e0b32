use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a window counts.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// One for each request.
    Requests,
    /// Tokens, as [`Charging`](crate::Charging) says.
    Tokens,
}

/// How a window counts.
///
/// The four kinds cover what providers and gateways are known to do. They agree on the long-run
/// rate and differ in the bursts they let through.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum Counting {
    /// An exact log: never more than the limit in any half-open interval of the window's length.
    #[default]
    Sliding,
    /// A counter set back to zero when a window ends; windows follow each other without a gap.
    Fixed,
    /// A token bucket that is filled at limit / length and holds at most `depth` units, of which
    /// it has all at the start.
    Bucket {
        /// What the bucket holds when full.
        depth: u64,
    },
    /// Two fixed counters, the former weighted by the share of it that a sliding window would
    /// still cover: what Cloudflare and `HAProxy` do.
    Counter,
}

/// One limit: so many units in so long.
///
/// # Example
///
/// ```
/// use std::time::Duration;
///
/// use model_studio_sim::{Counting, Window};
///
/// // nginx's `limit_req rate=10r/s burst=2 nodelay` lets three through at once.
/// let window = Window::requests(10, Duration::from_secs(1)).counting(Counting::Bucket { depth: 3 });
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Window {
    pub(super) unit: Unit,
    pub(super) limit: u64,
    pub(super) length: u64,
    pub(super) counting: Counting,
    pub(super) phase: u64,
}

impl Window {
    /// At most `limit` requests in `length`, counted by an exact sliding log.
    ///
    /// A limit of 0 lets nothing through. A `length` of 0 is taken as one nanosecond.
    #[must_use]
    pub const fn requests(limit: u64, length: Duration) -> Self {
        Self::new(Unit::Requests, limit, length)
    }

    /// At most `limit` tokens in `length`, counted by an exact sliding log.
    ///
    /// A request that asks for more than `limit` at once is always refused: the simulator keeps
    /// to its figure, where a provider might let an oversized request borrow.
    #[must_use]
    pub const fn tokens(limit: u64, length: Duration) -> Self {
        Self::new(Unit::Tokens, limit, length)
    }

    const fn new(unit: Unit, limit: u64, length: Duration) -> Self {
        let length = match nanos(length) {
            0 => 1,
            nanos => nanos,
        };
        Self {
            unit,
            limit,
            length,
            counting: Counting::Sliding,
            phase: 0,
        }
    }

    /// Sets how the window counts. Exact sliding log by default.
    #[must_use]
    pub const fn counting(self, counting: Counting) -> Self {
        Self { counting, ..self }
    }

    /// Sets how much of a window has passed at time zero. Means something for
    /// [`Counting::Fixed`] and [`Counting::Counter`] only, whose windows begin at fixed times.
    #[must_use]
    pub const fn phase(self, phase: Duration) -> Self {
        Self {
            phase: nanos(phase),
            ..self
        }
    }

    /// What is counted.
    #[must_use]
    pub const fn unit(&self) -> Unit {
        self.unit
    }

    /// How many units pass in one [`length`](Self::length).
    #[must_use]
    pub const fn limit(&self) -> u64 {
        self.limit
    }

    /// How long the window is.
    #[must_use]
    pub const fn length(&self) -> Duration {
        Duration::from_nanos(self.length)
    }

    /// Where time `now` lies: which window since time zero, and how far into it.
    pub(super) const fn place(&self, now: u64) -> (u64, u64) {
        let shifted = now.saturating_add(self.phase);
        (shifted / self.length, shifted % self.length)
    }
}

/// Nanoseconds in 64 bits: 584 years, then it stays there.
pub(super) const fn nanos(time: Duration) -> u64 {
    let nanos = time.as_nanos();
    if nanos > u64::MAX as u128 {
        return u64::MAX;
    }
    #[allow(clippy::cast_possible_truncation, reason = "bounded one line above")]
    {
        nanos as u64
    }
}
