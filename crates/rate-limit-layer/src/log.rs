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
    /// All but the last.
    entries: VecDeque<Entry<u64>>,

    /// The last, apart: most of what is sent in a busy window only adds to it.
    last: Entry<u64>,

    /// The sum of all of them.
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
            Self::Ring(Some(ring)) => ring.all().map(|it| (it.at, it.cost)).collect(),
            Self::Ring(None) => Vec::new(),
        }
    }

    /// When the last entry was added.
    #[cfg(feature = "redis")]
    pub(crate) fn last(&self) -> Option<u64> {
        match self {
            Self::One(one) => Some(one.at),
            Self::Ring(ring) => Some(ring.as_ref()?.all().last()?.at),
        }
    }

    /// Adds what is sent at `now`. Entries that share their time but for the lowest bits, as many as
    /// `grain` says, become one. Whoever needs an entry of its own takes the place of what was sent a
    /// `span` before.
    #[inline]
    pub(crate) fn push(&mut self, now: u64, cost: u64, grain: u32, span: u64) {
        let Some(cost) = NonZeroU64::new(cost) else {
            return;
        };
        let added = match self {
            Self::Ring(Some(ring)) => ring.add(now, cost.get(), grain),
            _ => false,
        };
        if !added {
            self.append(now, cost, grain, span);
        }
    }

    /// Adds what no busy window's last entry takes. Apart, so that what is done for most of what is sent goes
    /// in line.
    #[inline(never)]
    fn append(&mut self, now: u64, cost: NonZeroU64, grain: u32, span: u64) {
        self.expire(now, span);
        let entry = Entry {
            at: now,
            cost: cost.get(),
        };
        match self {
            Self::Ring(Some(ring)) => ring.append(entry),
            Self::One(one) if one.takes(now, grain) => {
                one.at = one.at.max(now);
                one.cost = one.cost.saturating_add(cost.get());
            }
            Self::One(one) => *self = Ring::of(one.plain(), entry),
            Self::Ring(None) => *self = Self::One(Entry { at: now, cost }),
        }
    }

    /// Puts `cost`, which is more than 0, among what was sent at `at`.
    pub(crate) fn insert(&mut self, at: u64, cost: u64, grain: u32) {
        match self {
            Self::Ring(Some(ring)) => ring.insert(at, cost, grain),
            Self::One(one) if at < one.at && !one.holds(at, grain) => {
                *self = Ring::of(Entry { at, cost }, one.plain());
            }
            Self::One(_) | Self::Ring(None) => self.push(at, cost, grain, u64::MAX),
        }
    }

    /// Corrects what was added at `at`: it was `cost` and is `actual`. Returns whether it was there.
    pub(crate) fn correct(&mut self, at: u64, cost: u64, actual: u64, grain: u32) -> bool {
        let corrected = |was: u64| was.saturating_sub(cost).saturating_add(actual);
        match self {
            Self::One(one) if one.at >= at && one.holds(at, grain) => {
                match NonZeroU64::new(corrected(one.cost.get())) {
                    Some(corrected) => one.cost = corrected,
                    None => *self = Self::new(),
                }
                true
            }
            Self::Ring(Some(ring)) => ring.correct(at, grain, corrected),
            Self::One(_) | Self::Ring(None) => false,
        }
    }
}

impl Ring {
    fn of(first: Entry<u64>, last: Entry<u64>) -> Log {
        let mut entries = VecDeque::with_capacity(1);
        entries.push_back(first);
        let used = first.cost.saturating_add(last.cost);
        Log::Ring(Some(Box::new(Self {
            entries,
            last,
            used,
        })))
    }

    const fn is_empty(&self) -> bool {
        self.last.cost == 0
    }

    fn all(&self) -> impl Iterator<Item = &Entry<u64>> {
        let last = (!self.is_empty()).then_some(&self.last);
        self.entries.iter().chain(last)
    }

    #[inline]
    fn expire(&mut self, now: u64, span: u64) {
        while let Some(entry) = self.entries.front() {
            if entry.at.saturating_add(span) > now {
                return;
            }
            self.used = self.used.saturating_sub(entry.cost);
            self.entries.pop_front();
        }
        if self.last.at.saturating_add(span) <= now {
            self.last.cost = 0;
            self.used = 0;
        }
    }

    #[inline]
    fn nth(&self, mut excess: u64) -> Option<u64> {
        for entry in self.all() {
            excess = excess.saturating_sub(entry.cost);
            if excess == 0 {
                return Some(entry.at);
            }
        }
        None
    }

    /// Adds what is sent at `now` to the last entry, if that takes it.
    #[inline]
    fn add(&mut self, now: u64, cost: u64, grain: u32) -> bool {
        let takes = self.last.takes(now, grain);
        if takes {
            // What is added to the last is added to the sum: if the one takes it, so does the other.
            let used = self.used.saturating_add(cost);
            self.last.at = self.last.at.max(now);
            self.last.cost = self.last.cost.wrapping_add(used - self.used);
            self.used = used;
        }
        takes
    }

    /// Adds the last.
    fn append(&mut self, entry: Entry<u64>) {
        if !self.is_empty() {
            self.entries.push_back(self.last);
        }
        self.last = entry;
        self.used = self.used.saturating_add(entry.cost);
    }

    fn insert(&mut self, at: u64, cost: u64, grain: u32) {
        if self.is_empty() || at > self.last.at && !self.last.holds(at, grain) {
            return self.append(Entry { at, cost });
        }
        let place = self.entries.partition_point(|entry| entry.at < at);
        let before = place.checked_sub(1);
        let before =
            before.filter(|it| self.entries.get(*it).is_some_and(|it| it.holds(at, grain)));
        let after = self.entries.get(place).unwrap_or(&self.last);
        let found = if after.holds(at, grain) {
            Some(place)
        } else {
            before
        };
        let Some(found) = found else {
            self.entries.insert(place, Entry { at, cost });
            self.used = self.used.saturating_add(cost);
            return;
        };
        let entry = self.entries.get_mut(found).unwrap_or(&mut self.last);
        entry.at = entry.at.max(at);
        entry.cost = entry.cost.saturating_add(cost);
        self.used = self.used.saturating_add(cost);
    }

    fn correct(&mut self, at: u64, grain: u32, corrected: impl FnOnce(u64) -> u64) -> bool {
        let found = self.entries.partition_point(|entry| entry.at < at);
        let entry = self.entries.get_mut(found).unwrap_or(&mut self.last);
        if entry.at < at || entry.cost == 0 || !entry.holds(at, grain) {
            return false;
        }
        let was = entry.cost;
        entry.cost = corrected(was);
        self.used = self.used.saturating_sub(was).saturating_add(entry.cost);
        if entry.cost == 0 {
            // Were they left, requests that come and are cancelled would pile up.
            if found < self.entries.len() {
                self.entries.remove(found);
            } else if let Some(before) = self.entries.pop_back() {
                self.last = before;
            }
        }
        true
    }
}

impl<C> Entry<C> {
    /// Whether what is sent at `now`, after this, becomes a part of it.
    #[inline]
    const fn takes(&self, now: u64, grain: u32) -> bool {
        self.holds(now, grain) || self.at >= now
    }

    /// Whether what was sent at `at` is a part of it.
    #[inline]
    const fn holds(&self, at: u64, grain: u32) -> bool {
        (self.at ^ at) >> grain == 0
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

    const SPAN: u64 = 10_000;

    #[test]
    fn a_log_without_a_ring_is_as_small_as_an_entry() {
        assert_eq!(size_of::<Log>(), size_of::<Entry<u64>>());
    }

    #[test]
    fn what_is_in_it_is_the_same_with_and_without_a_ring() {
        for grain in [0, 4] {
            let mut log = Log::new();
            for (at, used) in [(160, 3), (165, 6), (400, 9)] {
                log.push(at, 3, grain, SPAN);
                assert_eq!(log.used(), used);
            }
            assert!(log.correct(160, 3, 1, grain));
            assert_eq!(log.used(), 7);
            log.expire(365, 200);
            assert_eq!((log.used(), log.nth(3)), (3, Some(400)));
            log.expire(600, 200);
            assert_eq!((log.used(), log.nth(1)), (0, None));
            log.push(700, 3, grain, SPAN);
            assert_eq!((log.used(), log.nth(3)), (3, Some(700)));
        }
    }

    #[test]
    fn what_is_put_in_between_is_found_in_its_place() {
        for first in [100, 300] {
            let mut log = Log::new();
            log.push(first, 1, 0, SPAN);
            log.insert(200, 5, 0);
            assert_eq!(log.nth(1), Some(first.min(200)));
            assert_eq!((log.nth(6), log.used()), (Some(first.max(200)), 6));
            log.insert(250, 1, 0);
            log.insert(50, 1, 0);
            let at: Vec<_> = (1..=8).map(|n| log.nth(n).unwrap()).collect();
            assert!(at.is_sorted() && at.contains(&250) && at[0] == 50, "{at:?}");
        }
    }

    #[test]
    fn what_is_put_into_the_slot_of_another_is_a_part_of_it() {
        let mut log = Log::new();
        for at in [160, 400, 800] {
            log.push(at, 1, 4, SPAN);
        }
        for at in [165, 401, 799, 805] {
            log.insert(at, 1, 4);
        }
        let Log::Ring(Some(ring)) = &log else {
            panic!("{log:?}");
        };
        assert_eq!(ring.entries.len() + 1, 4, "{ring:?}"); // 799 is before the slot of 800
        assert_eq!(
            (log.used(), log.nth(2), log.nth(7)),
            (7, Some(165), Some(805))
        );
    }

    #[test]
    fn what_becomes_nothing_is_gone() {
        let mut log = Log::new();
        log.push(100, 2, 0, SPAN);
        assert!(log.correct(100, 2, 0, 0));
        assert!(matches!(log, Log::Ring(None)));
        assert!(!log.correct(100, 0, 2, 0));
    }

    #[test]
    fn those_who_come_and_go_leave_no_room_taken() {
        let mut log = Log::new();
        for at in 1..1000 {
            log.push(at, 1, 0, SPAN);
            // The one before goes, and never the last.
            assert!(at == 1 || log.correct(at - 1, 1, 0, 0));
        }
        let Log::Ring(Some(ring)) = &mut log else {
            panic!("{log:?}");
        };
        assert_eq!((ring.entries.len(), ring.used), (0, 1));
        assert!(ring.correct(999, 0, |_| 0) && ring.is_empty());
        log.push(2000, 4, 0, SPAN);
        assert_eq!((log.used(), log.nth(1), log.nth(5)), (4, Some(2000), None));
    }
}
