use super::number::count;
use super::wire::Parts;

/// What part of the quota this instance may go on with when the store is out of reach: its fair share of what all of
/// the fleet want.
///
/// Each tells the store what part it wants: for what comes up as lately, and for what waits. The store answers up to
/// which level all can have what they want, so the shares of all are 1 together.
///
/// Of what came up lately it tells a little less. Demand moves, and what is to come may come up elsewhere; what waits is
/// there. A share that is a little too small delays what comes a little; one that is too large is lost.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Share {
    /// How much of the quota came up lately, as a part of it.
    came: f64,

    /// When that was reckoned, what of the quota was taken since, and what was waited for then, in nanoseconds.
    since: u64,
    taken: u64,
    waited: u64,

    /// What was told last, and what the store made of what was told before that.
    told: f64,
    heard: Option<Heard>,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    at: u64,
    want: f64,
    parts: Parts,
}

/// In what time what came up before counts for a third, in nanoseconds, and what part of it is told.
const MEMORY: f64 = 5e9;
const LIKELY: f64 = 0.85;

/// In what time what waits is to be sent, in nanoseconds.
const PATIENCE: f64 = 10e9;

/// How long what was heard holds: an instance that wanted nothing does not ask.
const HOLDS: u64 = 30_000_000_000;

impl Share {
    /// So much of the quota was taken, in nanoseconds that it takes to come again.
    pub(super) const fn took(&mut self, time: u64) {
        self.taken = self.taken.saturating_add(time);
    }

    /// Reckons what part of the quota is wanted, while so many nanoseconds of it are waited for.
    pub(super) fn count(&mut self, now: u64, waiting: u64) {
        let time = now.saturating_sub(self.since);
        if self.since == 0 {
            self.since = now;
        } else if time > 0 {
            let came = (count(self.taken) + count(waiting) - count(self.waited)).max(0.0);
            let weight = 1.0 - (-count(time) / MEMORY).exp();
            self.came += weight * (came / count(time) - self.came);
            (self.since, self.taken) = (now, 0);
        }
        self.waited = waiting;
        self.told = LIKELY * self.came + count(waiting) / PATIENCE;
    }

    /// What part of the quota is wanted.
    pub(super) const fn told(&self) -> f64 {
        self.told
    }

    /// The store answered what was told last.
    pub(super) fn heard(&mut self, now: u64, parts: Parts) {
        self.heard = Some(Heard {
            at: now,
            want: self.told,
            parts,
        });
    }

    /// The share, from 0 to 1; if nothing was heard lately, an equal one of so many `members`.
    pub(super) fn of(&self, now: u64, members: f64) -> Option<f64> {
        let lately = |heard: &Heard| heard.at.saturating_add(HOLDS) >= now;
        self.heard
            .filter(lately)
            .map(|Heard { want, parts, .. }| {
                // Half of what is left goes to all alike, and half to each as it wants.
                let left = (1.0 - parts.wanted).max(0.0);
                let more = if parts.wanted > 0.0 {
                    f64::midpoint(parts.besides, left * want / parts.wanted)
                } else {
                    parts.besides
                };
                want.min(parts.level) + more
            })
            .or((members >= 1.0).then(|| 1.0 / members))
            .map(|share| share.clamp(0.0, 1.0))
    }

    /// What it gets while the store says when to send: also what others leave.
    pub(super) fn usual(&self, now: u64, members: f64) -> Option<f64> {
        let left = self.heard.map(|it| 1.0 - (it.parts.wanted - it.want));
        let share = self.of(now, members)?;
        Some(left.map_or(share, |left| share.max(left.min(1.0))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn what_is_wanted_is_what_came_and_what_waits() {
        let mut share = Share::default();
        share.count(SECOND, 0);
        assert!(share.told().abs() < 1e-9);
        let mut waiting = 0;
        for second in 2..60 {
            // A quarter of the quota is taken, and as much comes up that has to wait.
            share.took(SECOND / 4);
            waiting += SECOND / 4;
            share.count(second * SECOND, waiting);
            let came = share.told() - count(waiting) / PATIENCE;
            assert!(came > 0.0 && came < 0.43, "{came}");
        }
        let came = share.told() - count(waiting) / PATIENCE;
        assert!((came - 0.85 * 0.5).abs() < 0.01, "{came}");
    }

    #[test]
    fn it_is_what_is_wanted_up_to_the_level_and_what_is_left() {
        let mut share = Share::default();
        share.count(SECOND, 4 * SECOND);
        for (level, besides, wanted, expected) in [
            (0.3, 0.0, 1.2, 0.3),
            (0.5, 0.0, 1.2, 0.4),
            // Two: of the half that is left each gets an eighth, and this one four fifths of the other quarter.
            (1.0, 0.25, 0.5, 0.4 + 0.125 + 0.2),
        ] {
            share.heard(
                SECOND,
                Parts {
                    level,
                    besides,
                    wanted,
                },
            );
            let found = share.of(2 * SECOND, 8.0).unwrap();
            assert!((found - expected).abs() < 1e-9, "{found}");
        }
    }

    #[test]
    fn a_newcomer_has_an_equal_share_and_a_stranger_none() {
        let mut share = Share::default();
        assert_eq!(share.of(SECOND, 4.0), Some(0.25));
        assert_eq!(share.of(SECOND, 0.0), None);
        // And so has one who was idle for so long that the others forgot it.
        share.heard(SECOND, Parts::default());
        assert_eq!(share.of(2 * SECOND, 4.0), Some(0.0));
        assert_eq!(share.of(60 * SECOND, 4.0), Some(0.25));
    }

    #[test]
    fn who_wants_anything_alone_has_all() {
        let mut share = Share::default();
        share.count(SECOND, SECOND);
        share.heard(
            SECOND,
            Parts {
                level: 1.0,
                besides: 0.1125,
                wanted: 0.1,
            },
        );
        assert_eq!(share.usual(SECOND, 8.0), Some(1.0));
        let found = share.of(SECOND, 8.0).unwrap();
        // Half of what is left, and an eighth of the other half.
        assert!((found - (0.1 + 0.45 + 0.05625)).abs() < 1e-9);
    }
}
