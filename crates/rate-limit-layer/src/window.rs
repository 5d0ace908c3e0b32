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

/// The shortest window, in nanoseconds, that answers still being written count against.
const HELD: u64 = 30_000_000_000;

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

    /// Whether it counted what was sent under this version of the quota.
    pub(crate) const fn knows(&self, version: u32) -> bool {
        version >= self.since
    }

    /// The earliest time from `now` at which `cost` fits; `None` while it depends on answers that
    /// are still being written.
    ///
    /// What is larger than the limit waits for an empty window and then passes: the limit is in
    /// debt afterwards, and the next request waits for it.
    #[inline]
    pub(crate) fn earliest(&mut self, now: u64, cost: u64, bound: &Bound) -> Option<u64> {
        self.log.expire(now, bound.span);
        let at = now.max(self.full_at.saturating_sub(bound.tolerance(cost)));
        let need = cost.min(bound.most);
        let total = self
            .log
            .used()
            .saturating_add(self.held.into())
            .saturating_add(need);
        if total <= bound.most {
            return Some(at);
        }
        let sent = self.log.nth(total - bound.most)?;
        Some(at.max(sent.saturating_add(bound.span)))
    }

    /// Roughly when `cost` fits behind `ahead`, which waits for the same limit.
    pub(crate) fn forecast(&self, from: u64, ahead: u64, cost: u64, bound: &Bound) -> u64 {
        let full_at = self.full_at.max(from).saturating_add(bound.time(ahead));
        full_at.saturating_sub(bound.tolerance(cost))
    }

    /// Takes `cost`, sent at `now`, and `later`, which counts from when it is
    /// [settled](Self::release). The bucket is slowed down by `pace` from 1.
    ///
    /// Until it is settled, `later` counts as well, but not in a short window: the answers of many
    /// seconds would have to fit it at once. There the bucket alone paces them.
    #[inline]
    pub(crate) fn take(&mut self, now: u64, cost: u64, later: u64, pace: f64, bound: &Bound) {
        let mut time = bound.time(cost.saturating_add(later));
        if pace > 1.0 {
            time = slowed(time, pace);
        }
        self.full_at = self.full_at.max(now).saturating_add(time);
        if bound.span >= HELD {
            self.held = self.held.saturating_add(held(later));
        }
        self.log.push(now, cost, bound.grain);
    }

    /// Ends a hold: `cost` was held, `actual` was used, by `now`.
    pub(crate) fn release(&mut self, now: u64, cost: u64, actual: u64, bound: &Bound) {
        if bound.span >= HELD {
            self.held = self.held.saturating_sub(held(cost));
        }
        self.owe(now, cost, actual, bound);
        self.log.expire(now, bound.span);
        self.log.push(now, actual, bound.grain);
    }

    /// Corrects what was added at `at`: it was `cost` and is `actual`. What has left the window
    /// by now is not called back.
    pub(crate) fn correct(&mut self, now: u64, at: u64, cost: u64, actual: u64, bound: &Bound) {
        self.log.expire(now, bound.span);
        self.owe(now, cost, actual, bound);
        self.log.correct(at, cost, actual, bound.grain);
    }

    /// Has at least so much count against the limit until `until`, because the upstream says so.
    pub(crate) fn raise(&mut self, now: u64, used: u64, until: u64, bound: &Bound) {
        let more = used.saturating_sub(self.used(now, bound));
        if more > 0 {
            self.log
                .insert(until.saturating_sub(bound.span).min(now), more);
        }
    }

    /// How much counts against the limit at `now`.
    pub(crate) fn used(&mut self, now: u64, bound: &Bound) -> u64 {
        self.log.expire(now, bound.span);
        self.log.used().saturating_add(self.held.into())
    }

    /// Takes what the bucket holds, so that what follows is spaced from the first on.
    #[cfg(feature = "redis")]
    pub(crate) fn drain(&mut self, now: u64, bound: &Bound) {
        self.full_at = self.full_at.max(now.saturating_add(bound.filling()));
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

    /// Moves the bucket by the difference between what was taken and what was used.
    fn owe(&mut self, now: u64, cost: u64, actual: u64, bound: &Bound) {
        self.full_at = match actual.checked_sub(cost) {
            Some(more) => self.full_at.max(now).saturating_add(bound.time(more)),
            None => self.full_at.saturating_sub(bound.time(cost - actual)),
        };
    }
}

/// Apart and cold: were it inlined, the conversions to floats and back would be made for every
/// request, and thrown away.
#[cold]
#[inline(never)]
fn slowed(time: u64, pace: f64) -> u64 {
    num::times(time, pace)
}

/// Tokens held; more than four thousand million are as many.
fn held(tokens: u64) -> u32 {
    u32::try_from(tokens).unwrap_or(u32::MAX)
}
