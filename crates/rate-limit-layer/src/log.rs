use std::collections::VecDeque;
use std::num::NonZeroU64;

/// What was sent in a window, in order. One entry needs no memory of its own: of many partitions most
/// never hold more.
///
/// Times are nanoseconds, given by the caller; an entry counts for the span it is asked about with.
#[derive(Debug)]
pub(crate) enum Log {
    One(Entry<NonZeroU64>),

    /// More than one. `None` is nothing at all: with a variant of its own for that, a log would be
    /// half as large again.
    Ring(Option<Box<Ring>>),
}

#[derive(Debug)]
pub(crate) struct Ring {
    entries: VecDeque<Entry<u64>>,

    /// The sum of all entries.
    used: u64,
}

/// What was sent up to `at` and since the entry before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<C> {
    at: u64,
    cost: C,
}

impl Log {
    pub(crate) const fn new() -> Self {
        Self::Ring(None)
    }

    #[inline]
    pub(crate) fn used(&self) -> u64 {
        match self {
            Self::One(one) => one.cost.get(),
            Self::Ring(Some(ring)) => ring.used,
            Self::Ring(None) => 0,
        }
    }

    /// Forgets what was sent a `span` before `now`.
    #[inline]
    pub(crate) fn expire(&mut self, now: u64, span: u64) {
        match self {
            Self::One(one) if one.at.saturating_add(span) <= now => *self = Self::new(),
            Self::Ring(Some(ring)) => ring.expire(now, span),
            Self::One(_) | Self::Ring(None) => {}
        }
    }

    /// When the oldest entries of `excess` together were sent; `None` if all are less.
    #[inline]
    pub(crate) fn nth(&self, excess: u64) -> Option<u64> {
        match self {
            Self::One(one) => (one.cost.get() >= excess).then_some(one.at),
            Self::Ring(ring) => ring.as_ref()?.nth(excess),
        }
    }

    /// All entries, the oldest first: when, and what.
    #[cfg(feature = "redis")]
    pub(crate) fn all(&self) -> Vec<(u64, u64)> {
        match self {
            Self::One(one) => vec![(one.at, one.cost.get())],
            Self::Ring(Some(ring)) => ring.entries.iter().map(|it| (it.at, it.cost)).collect(),
            Self::Ring(None) => Vec::new(),
        }
    }

    /// When the last entry was added.
    #[cfg(feature = "redis")]
    pub(crate) fn last(&self) -> Option<u64> {
        match self {
            Self::One(one) => Some(one.at),
            Self::Ring(ring) => Some(ring.as_ref()?.entries.back()?.at),
        }
    }

    /// Adds what is sent at `now`. Entries that share their time but for the lowest bits, as many as
    /// `grain` says, become one.
    #[inline]
    pub(crate) fn push(&mut self, now: u64, cost: u64, grain: u32) {
        let Some(more) = NonZeroU64::new(cost) else {
            return;
        };
        match self {
            Self::Ring(Some(ring)) => ring.push(now, cost, grain),
            Self::Ring(None) => {
                *self = Self::One(Entry {
                    at: now,
                    cost: more,
                });
            }
            Self::One(one) if one.takes(now, grain) => {
                one.at = one.at.max(now);
                one.cost = one.cost.saturating_add(cost);
            }
            Self::One(one) => *self = Ring::of(one.plain(), Entry { at: now, cost }),
        }
    }

    /// Puts `cost`, which is more than 0, among what was sent at `at`.
    pub(crate) fn insert(&mut self, at: u64, cost: u64) {
        match self {
            Self::Ring(Some(ring)) => ring.insert(at, cost),
            Self::Ring(None) => self.push(at, cost, 0),
            Self::One(one) => {
                let (one, other) = (one.plain(), Entry { at, cost });
                *self = if one.at <= at {
                    Ring::of(one, other)
                } else {
                    Ring::of(other, one)
                };
            }
        }
    }

    /// Corrects what was added at `at`: it was `cost` and is `actual`. What is not there any more is
    /// not called back.
    pub(crate) fn correct(&mut self, at: u64, cost: u64, actual: u64, grain: u32) {
        let corrected = |was: u64| was.saturating_sub(cost).saturating_add(actual);
        match self {
            Self::One(one) if one.at >= at && one.holds(at, grain) => {
                match NonZeroU64::new(corrected(one.cost.get())) {
                    Some(corrected) => one.cost = corrected,
                    None => *self = Self::new(),
                }
            }
            Self::Ring(Some(ring)) => ring.correct(at, grain, corrected),
            Self::One(_) | Self::Ring(None) => {}
        }
    }
}

impl Ring {
    fn of(first: Entry<u64>, second: Entry<u64>) -> Log {
        let mut entries = VecDeque::with_capacity(2);
        entries.extend([first, second]);
        let used = first.cost.saturating_add(second.cost);
        Log::Ring(Some(Box::new(Self { entries, used })))
    }

    #[inline]
    fn expire(&mut self, now: u64, span: u64) {
        while let Some(entry) = self.entries.front() {
            if entry.at.saturating_add(span) > now {
                break;
            }
            self.used = self.used.saturating_sub(entry.cost);
            self.entries.pop_front();
        }
    }

    #[inline]
    fn nth(&self, mut excess: u64) -> Option<u64> {
        for entry in &self.entries {
            excess = excess.saturating_sub(entry.cost);
            if excess == 0 {
                return Some(entry.at);
            }
        }
        None
    }

    #[inline]
    fn push(&mut self, now: u64, cost: u64, grain: u32) {
        match self.entries.back_mut() {
            Some(last) if last.takes(now, grain) => {
                last.at = last.at.max(now);
                last.cost = last.cost.saturating_add(cost);
            }
            _ => self.entries.push_back(Entry { at: now, cost }),
        }
        self.used = self.used.saturating_add(cost);
    }

    fn insert(&mut self, at: u64, cost: u64) {
        let place = self.entries.partition_point(|entry| entry.at <= at);
        self.entries.insert(place, Entry { at, cost });
        self.used = self.used.saturating_add(cost);
    }

    fn correct(&mut self, at: u64, grain: u32, corrected: impl FnOnce(u64) -> u64) {
        let found = self.entries.partition_point(|entry| entry.at < at);
        let entry = self.entries.get_mut(found);
        let Some(entry) = entry.filter(|entry| entry.holds(at, grain)) else {
            return;
        };
        let was = entry.cost;
        entry.cost = corrected(was);
        self.used = self.used.saturating_sub(was).saturating_add(entry.cost);
        if entry.cost == 0 && found + 1 == self.entries.len() {
            self.entries.pop_back();
        }
    }
}

impl<C> Entry<C> {
    /// Whether what is sent at `now`, after this, becomes a part of it.
    #[inline]
    const fn takes(&self, now: u64, grain: u32) -> bool {
        self.at >= now || self.holds(now, grain)
    }

    /// Whether what was sent at `at` is a part of it.
    #[inline]
    const fn holds(&self, at: u64, grain: u32) -> bool {
        self.at >> grain == at >> grain
    }
}

impl Entry<NonZeroU64> {
    const fn plain(self) -> Entry<u64> {
        Entry {
            at: self.at,
            cost: self.cost.get(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_without_a_ring_is_as_small_as_an_entry() {
        assert_eq!(size_of::<Log>(), size_of::<Entry<u64>>());
    }

    #[test]
    fn what_is_in_it_is_the_same_with_and_without_a_ring() {
        for grain in [0, 4] {
            let mut log = Log::new();
            for (at, used) in [(160, 3), (165, 6), (400, 9)] {
                log.push(at, 3, grain);
                assert_eq!(log.used(), used);
            }
            log.correct(160, 3, 1, grain);
            assert_eq!(log.used(), 7);
            log.expire(365, 200);
            assert_eq!((log.used(), log.nth(3)), (3, Some(400)));
            log.expire(600, 200);
            assert_eq!((log.used(), log.nth(1)), (0, None));
        }
    }

    #[test]
    fn what_is_put_in_between_is_found_in_its_place() {
        for first in [100, 300] {
            let mut log = Log::new();
            log.push(first, 1, 0);
            log.insert(200, 5);
            assert_eq!(log.nth(1), Some(first.min(200)));
            assert_eq!((log.nth(6), log.used()), (Some(first.max(200)), 6));
        }
    }

    #[test]
    fn what_becomes_nothing_is_gone() {
        let mut log = Log::new();
        log.push(100, 2, 0);
        log.correct(100, 2, 0, 0);
        assert!(matches!(log, Log::Ring(None)));
    }
}
