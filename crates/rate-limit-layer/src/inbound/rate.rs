use std::num::NonZeroU32;
use std::time::Duration;

use crate::num;

/// How often each key may call: so many requests in a window, refilled evenly.
///
/// As many may come at once, unless a smaller [burst](Self::burst) is set. Building it is `const`,
/// and there is no invalid one: 0 counts as 1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rate {
    pub(crate) most: NonZeroU32,
    pub(crate) burst: NonZeroU32,
    pub(crate) window: Duration,
}

const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// What a request costs, where it is not 1; in its extensions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RequestCost(pub NonZeroU32);

impl Rate {
    /// So many requests a second.
    #[must_use]
    pub const fn per_second(most: u32) -> Self {
        Self::new(most, Duration::from_secs(1))
    }

    /// So many requests a minute.
    #[must_use]
    pub const fn per_minute(most: u32) -> Self {
        Self::new(most, Duration::from_secs(60))
    }

    /// So many requests a `window`, of a millisecond at least and a year at most.
    #[must_use]
    pub const fn new(most: u32, window: Duration) -> Self {
        let most = at_least_one(most);
        let window = if window.as_millis() < SHORTEST.as_millis() {
            SHORTEST
        } else if window.as_secs() > LONGEST.as_secs() {
            LONGEST
        } else {
            window
        };
        Self {
            most,
            burst: most,
            window,
        }
    }

    /// Sets how many may come at once.
    #[must_use]
    pub const fn burst(self, burst: u32) -> Self {
        Self {
            burst: at_least_one(burst),
            ..self
        }
    }

    pub(crate) fn quota(&self) -> governor::Quota {
        let quota = governor::Quota::with_period(self.each());
        quota
            .unwrap_or_else(|| governor::Quota::per_second(self.most))
            .allow_burst(self.at_once())
    }

    /// How many may come at once. governor counts in nanoseconds, of which there are not enough for
    /// every burst that can be asked for.
    pub(crate) fn at_once(&self) -> NonZeroU32 {
        let most = num::nanos(100 * LONGEST) / num::nanos(self.each());
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        self.burst.min(at_least_one(most))
    }

    /// The time in which one more may come.
    fn each(&self) -> Duration {
        (self.window / self.most.get()).max(Duration::from_nanos(1))
    }
}

const fn at_least_one(count: u32) -> NonZeroU32 {
    match NonZeroU32::new(count) {
        Some(count) => count,
        None => NonZeroU32::MIN,
    }
}
