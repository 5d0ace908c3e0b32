use std::time::Duration;

use crate::num;
use crate::scale::Scale;

/// What is learned about one partition from the upstream's answers: a guard time for jitter on the
/// way there, and a [scale](Scale) for quota that others use up.
///
/// Both follow the share of requests refused although the log had room. The guard tracks the
/// quantile at which one request in a thousand is refused; where more than one in ten is, it is not
/// jitter, and the limits are scaled down until it stops.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Control {
    /// Nanoseconds that an entry counts beyond its window.
    guard: u64,

    /// Refused share, averaged over about twenty answers.
    share: f32,

    scale: Scale,
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

/// A guard that moves within this many nanoseconds stands still for those who apply it.
const NOTICED: u64 = 250_000;

impl Control {
    pub(crate) const fn new(guard: Guard) -> Self {
        let guard = match guard {
            Guard::Fixed(guard) => guard,
            Guard::Learned => START,
        };
        Self {
            guard: num::nanos(guard),
            share: 0.0,
            scale: Scale::new(),
        }
    }

    /// Nanoseconds that an entry counts beyond its window.
    pub(crate) const fn guard(&self) -> u64 {
        self.guard
    }

    /// Share of the limits taken for ours.
    pub(crate) const fn scale(&self) -> f32 {
        self.scale.value()
    }

    /// Learns from one answer to a request sent at `sent`; `shortest` is the shortest window in
    /// nanoseconds. Returns whether anything changed that bounds depend on.
    pub(crate) fn learn(
        &mut self,
        now: u64,
        sent: u64,
        refused: bool,
        guard: Guard,
        shortest: u64,
    ) -> bool {
        let before = (self.guard / NOTICED, self.scale());
        self.share = 0.95 * self.share + if refused { 0.05 } else { 0.0 };
        if self.scale.is_down() {
            self.scale.learn(now, sent, refused);
        } else if self.share > FOREIGN {
            self.scale.learn(now, sent, refused);
            if self.scale.is_down() && guard == Guard::Learned {
                // What led here was not jitter either.
                self.guard = self.guard.saturating_sub(num::times(2, STEP));
            }
        } else if guard == Guard::Learned {
            self.track(refused, shortest);
        }
        before != (self.guard / NOTICED, self.scale())
    }

    fn track(&mut self, refused: bool, shortest: u64) {
        let guard = num::float(self.guard);
        let guard = if refused {
            guard + STEP * (1.0 - ACCEPTED)
        } else {
            guard - STEP * ACCEPTED
        };
        self.guard = num::times(1, guard.max(0.0)).min(shortest / 4).min(LONGEST);
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
            let now = n * SECOND / 10;
            control.learn(now, now, n % 1000 == 0, Guard::Learned, SECOND);
        }
        let drift = control.guard.abs_diff(num::nanos(START));
        assert!(drift < 25_000_000, "{}", control.guard);
    }

    #[test]
    fn the_guard_stays_within_a_quarter_of_the_window() {
        let mut control = Control::new(Guard::Learned);
        for n in 0..1000 {
            control.learn(n * SECOND, n * SECOND, n % 15 == 0, Guard::Learned, SECOND);
        }
        let near = 240_000_000..=SECOND / 4;
        assert!(near.contains(&control.guard), "{}", control.guard);
    }

    #[test]
    fn a_fixed_guard_is_left_alone() {
        let fixed = Guard::Fixed(Duration::from_millis(7));
        let mut control = Control::new(fixed);
        for n in 1..100 {
            control.learn(n * SECOND, n * SECOND, n % 3 == 0, fixed, SECOND);
        }
        assert_eq!(control.guard, 7_000_000);
    }

    #[test]
    fn jitter_does_not_scale_it_down() {
        let mut control = Control::new(Guard::Learned);
        for n in 0..1000 {
            control.learn(n * SECOND, n * SECOND, n % 15 == 0, Guard::Learned, SECOND);
            assert!(control.scale() >= 1.0);
        }
    }
}
