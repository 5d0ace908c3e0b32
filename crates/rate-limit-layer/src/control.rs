use std::time::Duration;

use crate::num;

/// What is learned about one partition from the upstream's answers: a guard time for jitter on the
/// way there, and a scale for quota that others use up.
///
/// Both follow the share of requests refused although the log had room. The guard tracks the
/// quantile at which one request in a thousand is refused; where more than one in ten is, it is not
/// jitter, and the limits are scaled down until it stops.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Control {
    /// Nanoseconds that an entry counts beyond its window.
    pub(crate) guard: u64,

    /// Share of the limits taken for ours.
    pub(crate) scale: f32,

    /// Refused share, averaged over about twenty answers.
    share: f32,

    /// When the scale was last lowered, and when it was raised or a request refused.
    lowered: u64,
    raised: u64,

    /// How often the scale went down, what share was answered after the first time, and the
    /// answers and refusals since the last.
    cuts: u8,
    answered: f32,
    sent: u16,
    refused: u16,

    /// When scaling, found to be of no use, may be tried again.
    rest_until: u64,
}

/// How the guard is found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Guard {
    Fixed(Duration),
    Learned,
}

/// Where a learned guard starts.
const START: Duration = Duration::from_millis(50);

/// The refused share that is accepted for jitter.
const ACCEPTED: f64 = 0.001;

/// How much a refusal adds to the guard, in nanoseconds; an answer takes off the accepted share.
const STEP: f64 = 20e6;

/// The longest guard, in nanoseconds, whatever the window.
const LONGEST: u64 = 1_000_000_000;

/// The refused share above which jitter is not the reason.
const FOREIGN: f32 = 0.1;

/// The least time between two changes of the scale, in nanoseconds.
const PACE: u64 = 2_000_000_000;

/// A guard that moves within this many nanoseconds stands still for those who apply it.
const NOTICED: u64 = 250_000;

const LEAST: f32 = 0.05;
const CUT: f32 = 0.8;
const RAISE: f32 = 1.05;

/// After so many cuts it must have helped, or refusals have nothing to do with our rate.
const CUTS: u8 = 4;

/// How long no cut is tried after that.
const REST: u64 = 60_000_000_000;

impl Control {
    pub(crate) const fn new(guard: Guard) -> Self {
        let guard = match guard {
            Guard::Fixed(guard) => guard,
            Guard::Learned => START,
        };
        Self {
            guard: num::nanos(guard),
            scale: 1.0,
            share: 0.0,
            lowered: 0,
            raised: 0,
            cuts: 0,
            answered: 0.0,
            sent: 0,
            refused: 0,
            rest_until: 0,
        }
    }

    /// Learns from one answer; `shortest` is the shortest window in nanoseconds. Returns whether
    /// anything changed that bounds depend on.
    pub(crate) fn learn(&mut self, now: u64, refused: bool, guard: Guard, shortest: u64) -> bool {
        let before = (self.guard / NOTICED, self.scale);
        self.share = 0.95 * self.share + if refused { 0.05 } else { 0.0 };
        self.sent = self.sent.saturating_add(1);
        if refused {
            self.raised = now;
            self.refused = self.refused.saturating_add(1);
        }
        if self.share > FOREIGN && now >= self.rest_until {
            self.lower(now);
        } else if guard == Guard::Learned {
            self.track(refused, shortest);
        }
        if self.scale < 1.0 && now.saturating_sub(self.raised) > PACE {
            self.scale = (self.scale * RAISE).min(1.0);
            self.raised = now;
            if self.scale >= 1.0 {
                self.cuts = 0;
            }
        }
        before != (self.guard / NOTICED, self.scale)
    }

    fn track(&mut self, refused: bool, shortest: u64) {
        // A refused share far above what is accepted is not the tail of a distribution.
        if self.share > FOREIGN {
            return;
        }
        let guard = num::float(self.guard);
        let guard = if refused {
            guard + STEP * (1.0 - ACCEPTED)
        } else {
            guard - STEP * ACCEPTED
        };
        self.guard = num::times(1, guard.max(0.0)).min(shortest / 4).min(LONGEST);
    }

    fn lower(&mut self, now: u64) {
        if self.lowered != 0 && now.saturating_sub(self.lowered) <= PACE {
            return;
        }
        let answered = 1.0 - f32::from(self.refused) / f32::from(self.sent.max(1));
        if self.cuts == 1 {
            self.answered = answered;
        }
        // Fewer requests against a quota that others share would be answered more often. Where the
        // share stays as it was, refusals do not depend on our rate and going slower is for nothing.
        if self.cuts >= CUTS && self.answered > 0.3 && answered < 1.2 * self.answered {
            self.cuts = 0;
            self.scale = 1.0;
            self.rest_until = now.saturating_add(REST);
            return;
        }
        self.cuts = self.cuts.saturating_add(1);
        (self.sent, self.refused) = (0, 0);
        self.lowered = now.max(1);
        self.scale = (self.scale * CUT).max(LEAST);
        self.share = FOREIGN / 2.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn the_guard_settles_where_one_in_a_thousand_is_refused() {
        let mut control = Control::new(Guard::Learned);
        for n in 0..100_000_u64 {
            control.learn(n * SECOND / 10, n % 1000 == 0, Guard::Learned, SECOND);
        }
        let drift = control.guard.abs_diff(num::nanos(START));
        assert!(drift < 25_000_000, "{}", control.guard);
    }

    #[test]
    fn the_guard_stays_within_a_quarter_of_the_window() {
        let mut control = Control::new(Guard::Learned);
        for n in 0..1000 {
            control.learn(n * SECOND, n % 15 == 0, Guard::Learned, SECOND);
        }
        assert!(
            (240_000_000..=SECOND / 4).contains(&control.guard),
            "{}",
            control.guard
        );
    }

    #[test]
    fn a_fixed_guard_is_left_alone() {
        let fixed = Guard::Fixed(Duration::from_millis(7));
        let mut control = Control::new(fixed);
        control.learn(SECOND, true, fixed, SECOND);
        assert_eq!(control.guard, 7_000_000);
    }

    #[test]
    fn the_scale_falls_to_what_others_leave_and_comes_back() {
        let mut control = Control::new(Guard::Learned);
        let mut now = 0;
        // Others use half: whatever is sent beyond that is refused.
        for n in 0..2000_u64 {
            now += num::times(SECOND / 20, 1.0 / f64::from(control.scale));
            let over = 1.0 - 0.5 / f64::from(control.scale);
            let refused = over > 0.0 && n % 100 < num::times(100, over);
            control.learn(now, refused, Guard::Learned, SECOND);
        }
        assert!((0.35..0.7).contains(&control.scale), "{}", control.scale);
        for _ in 0..2000 {
            now += SECOND / 20;
            control.learn(now, false, Guard::Learned, SECOND);
        }
        assert!(control.scale >= 1.0, "{}", control.scale);
    }

    #[test]
    fn refusals_at_random_do_not_slow_it_down() {
        let mut control = Control::new(Guard::Learned);
        let (mut now, mut seed, mut scales) = (0, 7_u64, 0.0);
        for _ in 0..4000 {
            now += num::times(SECOND / 10, 1.0 / f64::from(control.scale));
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            control.learn(now, (seed >> 33) % 5 == 0, Guard::Learned, SECOND);
            scales += f64::from(control.scale);
        }
        assert!(scales / 4000.0 > 0.7, "{}", scales / 4000.0);
    }
}
