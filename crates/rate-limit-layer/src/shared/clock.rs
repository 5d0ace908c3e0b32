use super::number::{micros, nanos};

/// How far the clock of the store is from ours, by the call that took least time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Offset {
    best: Option<Sample>,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    /// When it was taken, and how long the call took, in nanoseconds.
    at: u64,
    took: u64,

    /// The store's clock minus ours, in microseconds.
    offset: f64,
}

/// How far two clocks drift apart, at most, as a share of the time that passes.
const DRIFT: u64 = 20_000; // 50 parts of a million

/// By how many microseconds a call may contradict the best one, beyond what both took.
const CONTRADICTS: f64 = 5_000.0;

impl Offset {
    /// A call that began and ended then found the store at `theirs`, in microseconds.
    pub(super) fn learn(&mut self, began: u64, ended: u64, theirs: f64) {
        let took = ended.saturating_sub(began);
        let sample = Sample {
            at: ended,
            took,
            offset: theirs - micros(began) - micros(took) / 2.0,
        };
        let is_better = |best: Sample| {
            let off = (best.offset - sample.offset).abs();
            took <= best.uncertainty(ended)
                || off > micros(took / 2 + best.uncertainty(ended)) + CONTRADICTS
        };
        if self.best.is_none_or(is_better) {
            self.best = Some(sample);
        }
    }

    pub(super) const fn is_known(&self) -> bool {
        self.best.is_some()
    }

    /// Our time of a time of theirs.
    pub(super) fn ours(&self, theirs: f64) -> u64 {
        nanos((theirs - self.offset()).max(0.0))
    }

    /// Their time of a time of ours.
    pub(super) fn theirs(&self, ours: u64) -> f64 {
        (micros(ours) + self.offset()).floor().max(1.0)
    }

    /// By how many microseconds the two may be wrong.
    pub(super) fn err(&self, now: u64) -> f64 {
        let err = self.best.map_or(0, |best| best.uncertainty(now) / 2);
        micros(err).ceil()
    }

    fn offset(&self) -> f64 {
        self.best.map_or(0.0, |best| best.offset)
    }
}

impl Sample {
    /// How long the call took, and what clocks may have drifted since.
    fn uncertainty(self, now: u64) -> u64 {
        self.took
            .saturating_add(now.saturating_sub(self.at) / DRIFT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn the_shortest_call_tells_the_offset() {
        let mut offset = Offset::default();
        offset.learn(1000 * MS, 1010 * MS, 5_005_000.0); // 10 ms, in the middle of which it was 5005 there
        assert!((offset.theirs(1005 * MS) - 5_005_000.0).abs() < 1.0);
        offset.learn(2000 * MS, 2050 * MS, 6_003_000.0);
        assert!((offset.theirs(1005 * MS) - 5_005_000.0).abs() < 1.0);
        offset.learn(3000 * MS, 3002 * MS, 7_003_000.0);
        assert!((offset.theirs(3001 * MS) - 7_003_000.0).abs() < 1.0);
        assert_eq!(offset.ours(7_003_000.0), 3001 * MS);
        assert!((offset.err(3002 * MS) - 1000.0).abs() < 1.0);
    }

    #[test]
    fn a_clock_that_was_set_is_followed() {
        let mut offset = Offset::default();
        offset.learn(1000 * MS, 1001 * MS, 5_000_000.0);
        offset.learn(2000 * MS, 2010 * MS, 60_000_000.0);
        assert_eq!(offset.ours(60_000_000.0), 2005 * MS);
    }
}
