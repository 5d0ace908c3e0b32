use std::collections::VecDeque;

/// What was sent in a window, in order. One entry needs no memory of its own: of many partitions most
/// never hold more.
///
/// Times are nanoseconds, given by the caller; an entry counts for the span it is asked about with.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// The sum of all entries.
    used: u64,

    /// When the one entry was sent, while there is no ring.
    at: u64,

    /// All entries, once there were two.
    #[allow(
        clippy::box_collection,
        reason = "a pointer where there is none, of three words"
    )]
    ring: Option<Box<VecDeque<Entry>>>,
}

/// What was sent up to `at` and since the entry before it.
#[derive(Clone, Copy, Debug)]
struct Entry {
    at: u64,
    cost: u64,
}

impl Log {
    pub(crate) const fn used(&self) -> u64 {
        self.used
    }

    /// Forgets what was sent a `span` before `now`.
    #[inline]
    pub(crate) fn expire(&mut self, now: u64, span: u64) {
        let Some(ring) = &mut self.ring else {
            if self.at.saturating_add(span) <= now {
                self.used = 0;
            }
            return;
        };
        while let Some(entry) = ring.front() {
            if entry.at.saturating_add(span) > now {
                break;
            }
            self.used = self.used.saturating_sub(entry.cost);
            ring.pop_front();
        }
    }

    /// When the oldest entries of `excess` together were sent; `None` if all are less.
    #[inline]
    pub(crate) fn nth(&self, mut excess: u64) -> Option<u64> {
        let Some(ring) = &self.ring else {
            return (self.used >= excess).then_some(self.at);
        };
        for entry in &**ring {
            excess = excess.saturating_sub(entry.cost);
            if excess == 0 {
                return Some(entry.at);
            }
        }
        None
    }

    /// Adds what is sent at `now`. Entries that share their time but for the lowest bits, as many as
    /// `grain` says, become one.
    #[inline]
    pub(crate) fn push(&mut self, now: u64, cost: u64, grain: u32) {
        if cost == 0 {
            return;
        }
        let last = match &self.ring {
            Some(ring) => ring.back().map(|last| last.at),
            None => Some(self.at).filter(|_| self.used > 0),
        };
        let merged = last.is_some_and(|at| at >= now || at >> grain == now >> grain);
        match (&mut self.ring, last) {
            (None, None) => self.at = now,
            (None, Some(at)) if merged => self.at = at.max(now),
            (None, Some(_)) => self.ring().push_back(Entry { at: now, cost }),
            (Some(ring), _) => match ring.back_mut().filter(|_| merged) {
                Some(last) => {
                    last.at = last.at.max(now);
                    last.cost = last.cost.saturating_add(cost);
                }
                None => ring.push_back(Entry { at: now, cost }),
            },
        }
        self.used = self.used.saturating_add(cost);
    }

    /// Puts `cost` among what was sent at `at`.
    pub(crate) fn insert(&mut self, at: u64, cost: u64) {
        let ring = self.ring();
        let place = ring.partition_point(|entry| entry.at <= at);
        ring.insert(place, Entry { at, cost });
        self.used = self.used.saturating_add(cost);
    }

    /// Corrects what was added at `at`: it was `cost` and is `actual`. What is not there any more is
    /// not called back.
    pub(crate) fn correct(&mut self, at: u64, cost: u64, actual: u64, grain: u32) {
        let Some(ring) = &mut self.ring else {
            if self.used > 0 && self.at >= at && self.at >> grain == at >> grain {
                self.used = self.used.saturating_sub(cost).saturating_add(actual);
            }
            return;
        };
        let found = ring.partition_point(|entry| entry.at < at);
        let Some(entry) = ring
            .get_mut(found)
            .filter(|entry| entry.at >> grain == at >> grain)
        else {
            return;
        };
        let corrected = entry.cost.saturating_sub(cost).saturating_add(actual);
        self.used = self
            .used
            .saturating_sub(entry.cost)
            .saturating_add(corrected);
        entry.cost = corrected;
        if corrected == 0 && found + 1 == ring.len() {
            ring.pop_back();
        }
    }

    /// The entries in a ring, the one there was included.
    fn ring(&mut self) -> &mut VecDeque<Entry> {
        let (at, used) = (self.at, self.used);
        self.ring.get_or_insert_with(|| {
            let one = (used > 0).then_some(Entry { at, cost: used });
            Box::new(one.into_iter().collect())
        })
    }
}
