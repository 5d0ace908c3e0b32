use crate::{Charging, Cost, Limit, Unit, num};

/// The limit as it stands now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    pub(crate) unit: Unit,

    /// Which of a request's [costs](Cost::by_unit) count when it is sent, and which when its answer is
    /// complete.
    pub(crate) sent: u8,
    pub(crate) later: u8,

    /// Whether answers still being written count.
    pub(crate) holds: bool,

    /// Entries that share their time down to this many bits are one: it bounds the log.
    pub(crate) grain: u32,

    /// The most that fits, after scaling.
    pub(crate) most: u64,

    /// The window and the guard, in nanoseconds: how long an entry counts.
    pub(crate) span: u64,

    /// Nanoseconds in which the bucket gains one unit, in parts of 2^16. Whole numbers, because two
    /// conversions to floats and back cost more than the rest of a decision.
    each: u64,

    /// In what time it gains all it can hold.
    depth: u64,
}

/// A timer fires up to a tick late; a bucket without slack would lose that with each request.
const SLACK: u64 = 2_000_000;

/// The shortest window, in nanoseconds, that answers still being written count against.
const HELD: u64 = 30_000_000_000;

const SECOND: u64 = 1_000_000_000;

/// How many entries a window has before they are merged.
const ENTRIES: u64 = 1024;

impl Bound {
    pub(crate) fn new(
        limit: &Limit,
        charging: Charging,
        guard: u64,
        scale: f64,
        burst: f64,
    ) -> Self {
        let window = limit.nanos();
        let most = num::times(limit.most(), scale).max(1);
        let span = window.saturating_add(stretched(guard, window));
        let exact = !limit.unit().is_tokens() && limit.most() <= ENTRIES;
        let (sent, later) = Cost::parts_of(limit.unit(), charging);
        let each = num::parts(span, most);
        Self {
            unit: limit.unit(),
            sent,
            later,
            // The window alone: were it the guard's as well, what is held could change while it is.
            holds: window >= HELD,
            grain: if exact {
                0
            } else {
                (window / ENTRIES).max(1).ilog2()
            },
            most,
            span,
            each,
            depth: num::of_parts(num::times(most, burst).max(1), each),
        }
    }

    /// In what time the bucket gains so much.
    #[inline]
    pub(crate) fn time(&self, cost: u64) -> u64 {
        num::of_parts(cost, self.each)
    }

    /// How long an empty bucket takes to hold all it can but one.
    pub(crate) fn filling(&self) -> u64 {
        self.depth.saturating_sub(self.time(1))
    }

    /// How long before the bucket is full a cost may be taken that it gains in such a time.
    #[inline]
    pub(crate) fn tolerance(&self, time: u64) -> u64 {
        self.depth.saturating_sub(time).max(SLACK)
    }
}

/// The guard of a window of this length: longer by a twelfth with each doubling beyond a second, which
/// makes half as much again at a minute.
///
/// What a guard costs is its share of the window, so a long window affords one that covers more of the
/// tail of the delays. Of 600 requests a minute that keep 100 ms apart one is refused every few hours,
/// which 150 ms end; either costs less than a thousandth of what is sent.
fn stretched(guard: u64, window: u64) -> u64 {
    let doublings = num::ratio(window, SECOND).log2().max(0.0);
    num::times(guard, 1.0 + doublings / 12.0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Quota;

    fn bound(most: u64, window: Duration) -> Bound {
        let quota = Quota::new().limit(Unit::Requests, most, window);
        Bound::new(&quota.limits()[0], Charging::PostPaid, 0, 1.0, 0.1)
    }

    #[test]
    fn a_bucket_fills_at_the_rate_of_its_limit() {
        let bound = bound(600, Duration::from_secs(60));
        assert_eq!(bound.time(1), 100_000_000);
        assert_eq!(bound.tolerance(bound.time(1)), 59 * 100_000_000);
        assert_eq!(bound.tolerance(bound.time(60)), SLACK);
    }

    #[test]
    fn a_long_window_keeps_more_distance() {
        let ms = |ms: u64| ms * 1_000_000;
        for (seconds, most) in [(1, 100), (2, 109), (60, 150), (3600, 200), (86_400, 237)] {
            let guard = stretched(ms(100), seconds * SECOND);
            assert!(
                (ms(most - 2)..=ms(most)).contains(&guard),
                "{seconds}: {guard}"
            );
        }
        assert_eq!(stretched(ms(100), ms(20)), ms(100));
        assert_eq!(stretched(0, u64::MAX), 0);
    }

    #[test]
    fn no_limit_is_too_large_or_too_small() {
        assert_eq!(bound(u64::MAX, Duration::from_secs(1)).time(1), 0);
        assert!(bound(1, Duration::MAX).time(1) > 0);
        assert_eq!(bound(1, Duration::MAX).time(u64::MAX), u64::MAX);
    }
}
