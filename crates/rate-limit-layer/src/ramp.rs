/// Holds the rate down after the upstream said that it grew too quickly, and lets it grow back.
///
/// The rate starts at a quarter and grows evenly; each refusal on the way doubles the time that
/// takes. Once the upstream is known to watch growth, the ramp begins anew after idleness.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ramp {
    began: u64,
    takes: u64,
    last: u64,
}

const MINUTE: u64 = 60_000_000_000;
const FIRST: u64 = MINUTE;
const LONGEST: u64 = 10 * MINUTE;
const START: f64 = 0.25;

impl Ramp {
    /// The upstream refused growth; sending begins again at `at`.
    pub(crate) fn begin(&mut self, at: u64) {
        if at < self.began.saturating_add(self.takes) && self.takes > 0 {
            // Those refused together are one refusal.
            if at > self.began.saturating_add(self.takes / 16) {
                self.takes = self.takes.saturating_mul(2).min(LONGEST);
            }
        } else {
            self.takes = self.takes.max(FIRST);
        }
        self.began = at;
        self.last = at;
    }

    /// Whether the upstream is known to watch growth.
    pub(crate) const fn is_known(&self) -> bool {
        self.takes > 0
    }

    /// By how much a bucket is slowed down for a request sent at `now`; 1 for not at all.
    #[inline]
    pub(crate) fn pace(&mut self, now: u64) -> f64 {
        if self.takes == 0 {
            return 1.0;
        }
        if now.saturating_sub(self.last) > MINUTE {
            self.began = now;
        }
        self.last = now;
        let grown = crate::num::ratio(now.saturating_sub(self.began), self.takes);
        1.0 / (START + (1.0 - START) * grown).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_grows_back_from_a_quarter() {
        let mut ramp = Ramp::default();
        assert!((ramp.pace(5) - 1.0).abs() < 1e-9);
        ramp.begin(MINUTE);
        assert!((ramp.pace(MINUTE) - 4.0).abs() < 1e-9);
        assert!((ramp.pace(MINUTE + FIRST / 3) - 2.0).abs() < 1e-6);
        assert!((ramp.pace(MINUTE + FIRST) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_refusal_on_the_way_doubles_it() {
        let mut ramp = Ramp::default();
        ramp.begin(MINUTE);
        ramp.begin(MINUTE + FIRST / 2);
        let half = MINUTE + FIRST / 2 + FIRST;
        assert!((ramp.pace(half) - 1.6).abs() < 1e-6, "{}", ramp.pace(half));
    }

    #[test]
    fn idleness_begins_it_anew() {
        let mut ramp = Ramp::default();
        ramp.begin(MINUTE);
        ramp.pace(3 * MINUTE);
        assert!((ramp.pace(10 * MINUTE) - 4.0).abs() < 1e-9);
    }
}
