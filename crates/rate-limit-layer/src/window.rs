use std::collections::VecDeque;

use crate::{Limit, Unit, num};

/// One limit at work: the exact log of what was sent in the window, and a bucket that spaces it.
///
/// The log alone is exact but repeats its first burst each window; upstreams that estimate a
/// window from two counters, or keep small buckets, refuse bursts. The bucket holds a share of the
/// limit and fills at the limit's rate, so together they cost no throughput.
///
/// Times are nanoseconds on the limiter's clock, given by the caller and never going back.
#[derive(Debug)]
pub(crate) struct Window {
    log: VecDeque<Entry>,

    /// The sum of the log.
    used: u64,

    /// What was reserved for answers still being written; it does not expire.
    held: u64,

    /// When the bucket is full again (GCRA's theoretical arrival time).
    full_at: u64,

    /// When it began to count. Of what was sent before it knows nothing.
    began: u64,
}

/// What was sent up to `at` and since the entry before it.
#[derive(Clone, Copy, Debug)]
struct Entry {
    at: u64,
    cost: u64,
}

/// The limit as it stands now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    pub(crate) unit: Unit,

    /// The most that fits, after scaling.
    pub(crate) most: u64,

    /// The window and the guard, in nanoseconds: how long an entry counts.
    pub(crate) span: u64,

    /// Nanoseconds in which the bucket gains one unit, in parts of 2^16. Whole numbers, because two
    /// conversions to floats and back cost more than the rest of a decision.
    each: u64,

    /// How much the bucket holds.
    pub(crate) burst: u64,

    /// Entries that share their time down to this many bits are one: it bounds the log.
    pub(crate) grain: u32,
}

/// A timer fires up to a tick late; a bucket without slack would lose that with each request.
const SLACK: u64 = 2_000_000;

/// The shortest window, in nanoseconds, that answers still being written count against.
const HELD: u64 = 30_000_000_000;

/// How many entries a window has before they are merged.
const ENTRIES: u64 = 1024;

impl Bound {
    pub(crate) fn new(limit: &Limit, guard: u64, scale: f64, burst: f64) -> Self {
        let window = limit.nanos();
        let most = num::times(limit.most(), scale).max(1);
        let span = window.saturating_add(guard);
        let exact = !limit.unit().is_tokens() && limit.most() <= ENTRIES;
        Self {
            unit: limit.unit(),
            most,
            span,
            each: num::parts(span, most),
            burst: num::times(most, burst).max(1),
            grain: if exact {
                0
            } else {
                (window / ENTRIES).max(1).ilog2()
            },
        }
    }

    /// In what time the bucket gains so much.
    #[inline]
    pub(crate) fn time(&self, cost: u64) -> u64 {
        num::of_parts(cost, self.each)
    }

    /// How long before the bucket is full `cost` may be taken.
    #[inline]
    fn tolerance(&self, cost: u64) -> u64 {
        self.time(self.burst.saturating_sub(cost)).max(SLACK)
    }
}

impl Window {
    /// A window that begins to count at `now`, with a full bucket or, at a `cautious` start, an empty
    /// one.
    pub(crate) fn new(now: u64, bound: &Bound, cautious: bool) -> Self {
        let filling = if cautious {
            bound.time(bound.burst.saturating_sub(1))
        } else {
            0
        };
        Self {
            log: VecDeque::new(),
            used: 0,
            held: 0,
            full_at: now.saturating_add(filling),
            began: now,
        }
    }

    /// The earliest time from `now` at which `cost` fits; `None` while it depends on answers that
    /// are still being written.
    ///
    /// What is larger than the limit waits for an empty window and then passes: the limit is in
    /// debt afterwards, and the next request waits for it.
    #[inline]
    pub(crate) fn earliest(&mut self, now: u64, cost: u64, bound: &Bound) -> Option<u64> {
        self.expire(now, bound.span);
        let spaced = self.full_at.saturating_sub(bound.tolerance(cost));
        let need = cost.min(bound.most);
        let total = self.used.saturating_add(self.held).saturating_add(need);
        let Some(mut excess) = total.checked_sub(bound.most).filter(|excess| *excess > 0) else {
            return Some(now.max(spaced));
        };
        for entry in &self.log {
            excess = excess.saturating_sub(entry.cost);
            if excess == 0 {
                return Some(now.max(spaced).max(entry.at.saturating_add(bound.span)));
            }
        }
        None
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
            time = num::times(time, pace);
        }
        self.full_at = self.full_at.max(now).saturating_add(time);
        if bound.span >= HELD {
            self.held = self.held.saturating_add(later);
        }
        self.log(now, cost, bound);
    }

    /// Ends a hold that began at `at`: `cost` was held, `actual` was used, by `now`.
    pub(crate) fn release(&mut self, now: u64, at: u64, cost: u64, actual: u64, bound: &Bound) {
        let cost = if at < self.began { 0 } else { cost };
        self.held = self.held.saturating_sub(cost);
        self.owe(now, cost, actual, bound);
        self.log(now, actual, bound);
    }

    /// Corrects what was added at `at`: it was `cost` and is `actual`. What has left the window
    /// by now is not called back.
    pub(crate) fn correct(&mut self, now: u64, at: u64, cost: u64, actual: u64, bound: &Bound) {
        if at < self.began {
            return;
        }
        self.expire(now, bound.span);
        self.owe(now, cost, actual, bound);
        let found = self.log.partition_point(|entry| entry.at < at);
        let Some(entry) = self.log.get_mut(found) else {
            return;
        };
        if entry.at >> bound.grain != at >> bound.grain {
            return;
        }
        let corrected = entry.cost.saturating_sub(cost).saturating_add(actual);
        self.used = self
            .used
            .saturating_sub(entry.cost)
            .saturating_add(corrected);
        entry.cost = corrected;
        if corrected == 0 && found + 1 == self.log.len() {
            self.log.pop_back();
        }
    }

    /// Has at least so much count against the limit until `until`, because the upstream says so.
    pub(crate) fn raise(&mut self, now: u64, used: u64, until: u64, bound: &Bound) {
        let more = used.saturating_sub(self.used(now, bound));
        if more == 0 {
            return;
        }
        let at = until.saturating_sub(bound.span).min(now);
        let place = self.log.partition_point(|entry| entry.at <= at);
        self.log.insert(place, Entry { at, cost: more });
        self.used = self.used.saturating_add(more);
    }

    /// How much counts against the limit at `now`.
    pub(crate) fn used(&mut self, now: u64, bound: &Bound) -> u64 {
        self.expire(now, bound.span);
        self.used.saturating_add(self.held)
    }

    /// Whether forgetting it would change nothing.
    pub(crate) fn is_idle(&mut self, now: u64, bound: &Bound) -> bool {
        self.used(now, bound) == 0 && self.full_at <= now
    }

    #[inline]
    fn log(&mut self, now: u64, cost: u64, bound: &Bound) {
        if cost == 0 {
            return;
        }
        self.used = self.used.saturating_add(cost);
        match self.log.back_mut() {
            Some(last) if last.at >> bound.grain == now >> bound.grain || last.at >= now => {
                last.at = last.at.max(now);
                last.cost = last.cost.saturating_add(cost);
            }
            Some(_) => self.log.push_back(Entry { at: now, cost }),
            None => {
                if self.log.capacity() == 0 {
                    // Most partitions of many never hold more.
                    self.log = VecDeque::with_capacity(1);
                }
                self.log.push_back(Entry { at: now, cost });
            }
        }
    }

    #[inline]
    fn expire(&mut self, now: u64, span: u64) {
        while let Some(entry) = self.log.front() {
            if entry.at.saturating_add(span) > now {
                break;
            }
            self.used = self.used.saturating_sub(entry.cost);
            self.log.pop_front();
        }
    }

    /// Moves the bucket by the difference between what was taken and what was used.
    fn owe(&mut self, now: u64, cost: u64, actual: u64, bound: &Bound) {
        self.full_at = match actual.checked_sub(cost) {
            Some(more) => self.full_at.max(now).saturating_add(bound.time(more)),
            None => self.full_at.saturating_sub(bound.time(cost - actual)),
        };
    }
}
