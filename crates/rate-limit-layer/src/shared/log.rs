use std::collections::VecDeque;

use super::shape::Shape;
use super::wire::SAMPLES;

/// A limit at work in the store: what was granted of it, in order, and its bucket.
///
/// What it counts lies in the window before the last slot, not before now. Slots are granted in order and
/// none comes before the last one, so an entry that had to leave for one is gone for all that follow.
#[derive(Clone, Debug)]
pub(super) struct Log {
    pub(super) shape: Shape,
    pub(super) full: f64,
    pub(super) used: f64,
    entries: VecDeque<(f64, f64)>,
}

/// Where a slot would be, and what would have to leave for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) slot: f64,
    leaves: usize,
    left: f64,
}

/// A timer fires up to a tick late; a bucket without slack would lose that with each request.
const SLACK: f64 = 2000.0;

/// How many leave at a time, where one has to and the others are in no window any more: the script reads them at once.
const MANY: usize = 8;

impl Log {
    pub(super) fn new(shape: Shape, entries: Vec<(f64, f64)>, err: f64) -> Self {
        let mut entries = entries;
        while entries.len() > shape.entries() {
            entries = entries
                .chunks(2)
                .map(|pair| match *pair {
                    [one, other] => (other.0, one.1 + other.1),
                    _ => pair.first().copied().unwrap_or_default(),
                })
                .collect();
        }
        let mut log = Self {
            shape,
            full: 0.0,
            used: 0.0,
            entries: VecDeque::new(),
        };
        for (at, cost) in entries {
            log.used += cost;
            log.full = log.full.max(at) + log.time(cost, err);
            log.entries.push_back((at, cost));
        }
        log
    }

    pub(super) fn entries(&self) -> Vec<(f64, f64)> {
        self.entries.iter().copied().collect()
    }

    /// Has what is in no window any more leave. Entries count `more` than their window.
    pub(super) fn expire(&mut self, now: f64, more: f64) {
        let span = self.shape.window + more;
        let is_gone = |(at, _): &&(f64, f64)| *at + span <= now;
        while let Some((_, spent)) = self.entries.front().filter(is_gone) {
            self.used -= spent;
            self.entries.pop_front();
        }
    }

    /// How much it counts, and when that was: entries all through it, the first and the last among them.
    pub(super) fn told(&self) -> Vec<f64> {
        let last = self.entries.len().saturating_sub(1);
        let sample = |index: usize| self.entries.get((index * last).div_ceil(SAMPLES));
        let samples = (0..=SAMPLES).map(|index| sample(index).copied().unwrap_or_default());
        let samples = samples.flat_map(|(at, cost)| [at, cost]);
        std::iter::once(self.used).chain(samples).collect()
    }

    pub(super) fn last(&self) -> f64 {
        self.entries.back().map_or(0.0, |(at, _)| *at)
    }

    /// The first slot from `slot` on in which `cost` has room. Entries count `more` than their window.
    pub(super) fn room(&self, now: f64, slot: f64, cost: f64, shape: &Shape, more: f64) -> Room {
        let span = shape.window + more;
        let mut slot = slot.max(self.last());
        let tolerance = if shape.burst > cost {
            ((shape.burst - cost) * span / shape.most)
                .floor()
                .max(SLACK)
        } else {
            SLACK
        };
        slot = slot.max(self.full - tolerance);
        let need = cost.min(shape.most);
        let (mut leaves, mut left) = (0, self.used);
        let many = if left + need > shape.most { MANY } else { 0 };
        for (at, spent) in &self.entries {
            if left + need <= shape.most && (leaves >= many || at + span > now) {
                break;
            }
            slot = slot.max(at + span);
            left -= spent;
            leaves += 1;
        }
        Room { slot, leaves, left }
    }

    /// Takes `cost` at `slot`, for which there is `room`.
    pub(super) fn take(&mut self, slot: f64, cost: f64, room: Room, shape: &Shape, more: f64) {
        self.full = self.full.max(slot) + (cost * (shape.window + more) / shape.most).floor();
        self.entries.drain(..room.leaves);
        self.used = room.left + cost;
        let (len, most) = (self.entries.len(), shape.entries());
        match self.entries.back_mut() {
            Some(last)
                if len >= most
                    || shape.grain > 0.0
                        && (last.0 / shape.grain).floor() == (slot / shape.grain).floor() =>
            {
                *last = (slot, last.1 + cost);
            }
            _ => self.entries.push_back((slot, cost)),
        }
    }

    /// Takes off what was granted at `at` and was not used, and adds what was used besides.
    pub(super) fn correct(&mut self, now: f64, at: f64, less: f64, more: f64, guard: f64) {
        if less > 0.0 {
            if let Some(index) = self.granted(at, less) {
                self.change(index, -less);
            }
        }
        if more > less {
            self.full = self.full.max(now) + self.time(more - less, guard);
        } else {
            self.full -= self.time(less - more, guard);
        }
        let found = self.entries.partition_point(|entry| entry.0 < now);
        if more > 0.0 && !self.change(found, more) {
            let (len, most) = (self.entries.len(), self.shape.entries());
            match self.entries.back_mut().filter(|_| len >= most) {
                Some(last) => *last = (now, last.1 + more),
                None => self.entries.push_back((now, more)),
            }
            self.used += more;
        }
    }

    /// The entry of what was granted at `at`: that of its time, or the one it was merged with. The oldest
    /// may be neither, if that one has left already.
    fn granted(&self, at: f64, cost: f64) -> Option<usize> {
        let mut found = self.entries.partition_point(|entry| entry.0 < at);
        let (at_found, mut spent) = *self.entries.get(found)?;
        let grain = self.shape.grain;
        let merged = grain > 0.0 && (at_found / grain).floor() == (at / grain).floor();
        if found == 0 && at_found != at && !merged {
            return None;
        }
        while spent < cost {
            match self.entries.get(found + 1) {
                Some((after, also)) if *after == at => spent = *also,
                _ => break,
            }
            found += 1;
        }
        Some(found)
    }

    /// Changes an entry, if there is such a one.
    fn change(&mut self, index: usize, by: f64) -> bool {
        let Some(entry) = self.entries.get_mut(index) else {
            return false;
        };
        let left = (entry.1 + by).max(0.0);
        self.used += left - entry.1;
        entry.1 = left;
        true
    }

    fn time(&self, cost: f64, guard: f64) -> f64 {
        (cost * (self.shape.window + guard) / self.shape.most).floor()
    }
}

impl Shape {
    /// The most entries of its log.
    fn entries(&self) -> usize {
        usize::try_from(super::number::cast(self.room)).unwrap_or(usize::MAX)
    }
}
