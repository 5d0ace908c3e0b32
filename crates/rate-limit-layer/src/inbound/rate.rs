use std::num::NonZeroU32;
use std::time::Duration;

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

    /// So many requests a `window`, of a millisecond at least.
    #[must_use]
    pub const fn new(most: u32, window: Duration) -> Self {
        let most = at_least_one(most);
        let shortest = Duration::from_millis(1);
        let window = if window.as_nanos() < shortest.as_nanos() {
            shortest
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
        let each = (self.window / self.most.get()).max(Duration::from_nanos(1));
        let quota = governor::Quota::with_period(each);
        quota
            .unwrap_or_else(|| governor::Quota::per_second(self.most))
            .allow_burst(self.burst)
    }
}

const fn at_least_one(count: u32) -> NonZeroU32 {
    match NonZeroU32::new(count) {
        Some(count) => count,
        None => NonZeroU32::MIN,
    }
}
