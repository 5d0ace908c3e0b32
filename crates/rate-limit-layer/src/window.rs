use crate::bound::Bound;
use crate::log::Log;
use crate::num;

/// One limit at work: the exact log of what was sent in the window, and a bucket that spaces it.
///
/// The log alone is exact but repeats its first burst each window; upstreams that estimate a
/// window from two counters, or keep small buckets, refuse bursts. The bucket holds a share of the
/// limit and fills at the limit's rate, so together they cost no throughput.
///
/// Times are nanoseconds on the limiter's clock, given by the caller and never going back.
#[derive(Debug)]
pub(crate) struct Window {
    log: Log,

    /// When the bucket is full again (GCRA's theoretical arrival time).
    full_at: u64,

    /// What was reserved for answers still being written; it does not expire.
    held: u32,

    /// Since which version of the quota it counts. Of what was sent before it knows nothing.
    since: u32,
}

impl Window {
    /// A window that begins to count at `now`, with a full bucket or, at a `cautious` start, an empty
    /// one.
    pub(crate) fn new(now: u64, since: u32, bound: &Bound, cautious: bool) -> Self {
        let filling = if cautious { bound.filling() } else { 0 };
        Self {
            log: Log::new(),
            full_at: now.saturating_add(filling),
            held: 0,
            since,
        }
    }

    /// Has what follows be spaced, but for one: a bucket that grew would let those who wait go at once.
    pub(crate) fn empty_bucket(&mut self, now: u64, bound: &Bound) {
        self.full_at = self.full_at.max(now.saturating_add(bound.filling()));
    }

    /// Whether it counted what was sent under this version of the quota.
    pub(crate) const fn knows(&self, version: u32) -> bool {
        version >= self.since
    }

    /// Whether `cost`, which the bucket gains in `time`, fits now: whether [`earliest`](Self::earliest)
    /// would say so. Nearly always two comparisons tell; what has left the window is only looked for
    /// when it would make room.
    #[inline]
    pub(crate) fn has_room(&mut self, now: u64, cost: u64, time: u64, bound: &Bound) -> bool {
        let need = cost.min(bound.most);
        let fits = |used: u64| used.saturating_add(need) <= bound.most;
        self.full_at <= now.saturating_add(bound.tolerance(time))
            && (fits(self.counted()) || fits(self.used(now, bound)))
    }

    /// When the bucket is full again.
    pub(crate) const fn full_at(&self) -> u64 {
        self.full_at
    }

    /// The earliest time from `now` at which `cost` fits; `None` while it depends on answers that
    /// are still being written.
    ///
    /// What is larger than the limit waits for an empty window and then passes: the limit is in
    /// debt afterwards, and the next request waits for it.
    #[inline]
    pub(crate) fn earliest(&mut self, now: u64, cost: u64, bound: &Bound) -> Option<u64> {
        self.log.expire(now, bound.span);
        let tolerance = bound.tolerance(bound.time(cost));
        let at = now.max(self.full_at.saturating_sub(tolerance));
        let need = cost.min(bound.most);
        let total = self.counted().saturating_add(need);
        if total <= bound.most {
            return Some(at);
        }
        let sent = self.log.nth(total - bound.most)?;
        Some(at.max(sent.saturating_add(bound.span)))
    }

    /// Roughly when `cost` fits behind `ahead`, which waits for the same limit.
    pub(crate) fn forecast(&self, from: u64, ahead: u64, cost: u64, bound: &Bound) -> u64 {
        let full_at = self.full_at.max(from).saturating_add(bound.time(ahead));
        full_at.saturating_sub(bound.tolerance(bound.time(cost)))
    }

    /// Takes `cost`, sent at `now`, and `later`, which counts from when it is
    /// [settled](Self::release). The bucket gains both together in `time`.
    ///
    /// Until it is settled, `later` counts as well, but not in a short window: the answers of many
    /// seconds would have to fit it at once. There the bucket alone paces them.
    #[inline]
    pub(crate) fn take(&mut self, now: u64, cost: u64, later: u64, time: u64, bound: &Bound) {
        self.full_at = self.full_at.max(now).saturating_add(time);
        if bound.holds && later > 0 {
            self.held = self.held.saturating_add(held(later));
        }
        self.log.push(now, cost, bound.grain, bound.span);
    }

    /// Slows the bucket down by `pace`, from 1, for what was [taken](Self::take) last.
    pub(crate) fn slow(&mut self, cost: u64, pace: f64, bound: &Bound) {
        let more = num::times(bound.time(cost), pace - 1.0);
        self.full_at = self.full_at.saturating_add(more);
    }

    /// Ends a hold: `cost` was held, `actual` was used, by `now`. Apart, as [`correct`](Self::correct) is.
    #[inline(never)]
    pub(crate) fn release(&mut self, now: u64, cost: u64, actual: u64, bound: &Bound) {
        if bound.holds {
            self.held = self.held.saturating_sub(held(cost));
        }
        self.owe(now, cost, actual, bound);
        self.log.push(now, actual, bound.grain, bound.span);
    }

    /// Corrects what was added at `at`: it was `cost` and is `actual`. What has left the window
    /// by now is not called back.
    ///
    /// Apart: in line it took registers from the loop over the windows, and whether it went in line depended on
    /// the crate's features.
    #[inline(never)]
    pub(crate) fn correct(&mut self, now: u64, at: u64, cost: u64, actual: u64, bound: &Bound) {
        self.log.expire(now, bound.span);
        self.owe(now, cost, actual, bound);
        let was_there = self.log.correct(at, cost, actual, bound.grain);
        // It was thought to cost nothing.
        if !was_there && actual > cost && at.saturating_add(bound.span) > now {
            self.log.insert(at, actual - cost, bound.grain);
        }
    }

    /// Has at least so much count against the limit until `until`, because the upstream says so.
    pub(crate) fn raise(&mut self, now: u64, used: u64, until: u64, bound: &Bound) {
        let more = used.saturating_sub(self.used(now, bound));
        if more > 0 {
            let at = until.saturating_sub(bound.span).min(now);
            self.log.insert(at, more, bound.grain);
        }
    }

    /// How much counts against the limit at `now`. Apart, so that a decision that does not ask keeps what it needs in
    /// registers.
    #[cold]
    #[inline(never)]
    pub(crate) fn used(&mut self, now: u64, bound: &Bound) -> u64 {
        self.log.expire(now, bound.span);
        self.counted()
    }

    /// Begins anew, with what was `sent` before `now` `counted` as so much, but no more than fits. The bucket is empty at
    /// `begins`, so that what follows is spaced, and the first waits for what it takes as well: were it sent at once, so
    /// many instances would send so many at the same time.
    #[cfg(feature = "redis")]
    pub(crate) fn restart(
        &mut self,
        sent: &[(u64, u64)],
        counted: Option<f64>,
        now: u64,
        begins: u64,
        bound: &Bound,
    ) {
        let all: u64 = sent.iter().map(|(_, cost)| cost).sum();
        let counted = counted.map_or(all, |counted| num::times(1, counted));
        let most = counted.min(bound.most);
        self.log = Log::new();
        let (mut sum, mut so_far) = (0, 0);
        for (at, cost) in sent {
            sum += cost;
            let until = num::times(most, num::ratio(sum, all));
            let before_now = (*at).min(now.saturating_sub(1));
            self.log.push(before_now, until - so_far, 0, u64::MAX);
            so_far = until;
        }
        let one = bound.time(1);
        self.full_at = begins.saturating_add(bound.filling()).saturating_add(one);
    }

    /// Counts again what was sent until then as it was.
    #[cfg(feature = "redis")]
    pub(crate) fn recall(&mut self, sent: Vec<(u64, u64)>, until: u64) {
        let later = self.log.all().into_iter().filter(|(at, _)| *at >= until);
        let all: Vec<_> = sent.into_iter().chain(later).collect();
        self.log = Log::new();
        for (at, cost) in all {
            self.log.push(at, cost, 0, u64::MAX);
        }
    }

    /// What was sent in it, and when, the oldest first.
    #[cfg(feature = "redis")]
    pub(crate) fn sent(&mut self, now: u64, bound: &Bound) -> Vec<(u64, u64)> {
        self.log.expire(now, bound.span);
        self.log.all()
    }

    /// When the last was sent of which anything is known.
    #[cfg(feature = "redis")]
    pub(crate) fn last(&self) -> Option<u64> {
        self.log.last()
    }

    /// Whether forgetting it would change nothing.
    pub(crate) fn is_idle(&mut self, now: u64, bound: &Bound) -> bool {
        self.used(now, bound) == 0 && self.full_at <= now
    }

    /// What counts, and what has left the window since it was last looked through.
    #[inline]
    fn counted(&self) -> u64 {
        self.log.used().saturating_add(self.held.into())
    }

    /// Moves the bucket by the difference between what was taken and what was used.
    fn owe(&mut self, now: u64, cost: u64, actual: u64, bound: &Bound) {
        self.full_at = match actual.checked_sub(cost) {
            Some(more) => self.full_at.max(now).saturating_add(bound.time(more)),
            None => self.full_at.saturating_sub(bound.time(cost - actual)),
        };
    }
}

/// Tokens held; more than four thousand million are as many.
fn held(tokens: u64) -> u32 {
    u32::try_from(tokens).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::{Charging, Quota, Unit};

    proptest! {
        /// The quick answer and the thorough one.
        #[test]
        fn there_is_room_just_when_the_earliest_time_is_now(
            most in 1..2000_u64,
            seconds in 1..60_u64,
            burst in prop_oneof![Just(0.1), Just(1.0)],
            steps in prop::collection::vec((0..400_u64, 0..900_u64, 0..3_u8), 1..200),
        ) {
            let quota = Quota::new().limit(Unit::Tokens, most, Duration::from_secs(seconds));
            let bound = Bound::new(&quota.limits()[0], Charging::PostPaid, 20_000_000, 1.0, burst);
            let mut now = 1_000_000_000;
            let mut window = Window::new(now, 0, &bound, false);
            let mut sent = Vec::new();
            for (ms, cost, what) in steps {
                now += ms * 1_000_000;
                let time = bound.time(cost);
                let quick = window.has_room(now, cost, time, &bound);
                let earliest = window.earliest(now, cost, &bound);
                prop_assert_eq!(quick, earliest.is_some_and(|at| at <= now), "{:?} at {}", earliest, now);
                match (what, sent.pop()) {
                    (0, Some((at, was))) => window.correct(now, at, was, cost, &bound),
                    (_, last) => {
                        sent.extend(last);
                        if quick {
                            window.take(now, cost, 0, time, &bound);
                            sent.push((now, cost));
                        }
                    }
                }
            }
        }
    }
}
