/// What part of all grants of a partition came to this instance lately: what it may go on with when the
/// store is out of reach.
///
/// Each instance averages the same grants over the same time, so the shares of all are 1 together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Share {
    value: Option<f64>,

    /// What was granted to all by then, and to this one since.
    granted: f64,
    ours: f64,
    since: u64,
}

/// The least that is averaged over: grants, and nanoseconds.
const GRANTS: f64 = 20.0;
const LEAST: u64 = 1_000_000_000;

/// In what time what was before counts for a third, in nanoseconds.
const MEMORY: f64 = 10e9;

impl Share {
    /// So many were granted to this instance, and `granted` to all since the state began.
    pub(super) fn learn(&mut self, now: u64, ours: usize, granted: f64) {
        if granted < self.granted || self.since == 0 {
            // The state is another one.
            self.granted = granted;
            self.ours = 0.0;
            self.since = now;
            return;
        }
        self.ours += super::number::count(ours as u64);
        let (all, time) = (granted - self.granted, now.saturating_sub(self.since));
        if time < LEAST || all < GRANTS {
            return;
        }
        let now_is = (self.ours / all).min(1.0);
        let weight = 1.0 - (-super::number::count(time) / MEMORY).exp();
        self.value = Some(
            self.value
                .map_or(now_is, |value| value + weight * (now_is - value)),
        );
        self.granted = granted;
        self.ours = 0.0;
        self.since = now;
    }

    /// The share, from 0 to 1; without any of its own, an equal one of so many `members`.
    pub(super) fn of(&self, members: f64) -> Option<f64> {
        self.value
            .or((members >= 1.0).then(|| 1.0 / members))
            .map(|share| share.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn it_follows_what_is_granted_and_shares_add_up() {
        let mut shares = [Share::default(), Share::default()];
        let (mut granted, parts) = (0.0, [3_usize, 1]);
        for second in 1..60 {
            granted += 100.0;
            for (share, part) in shares.iter_mut().zip(parts) {
                share.learn(second * SECOND, part * 25, granted);
            }
        }
        let [one, other] = shares.map(|share| share.of(2.0).unwrap());
        assert!((one - 0.75).abs() < 0.01 && (other - 0.25).abs() < 0.01);
    }

    #[test]
    fn a_newcomer_has_an_equal_share_and_a_stranger_none() {
        let share = Share::default();
        assert_eq!(share.of(4.0), Some(0.25));
        assert_eq!(share.of(0.0), None);
    }
}
