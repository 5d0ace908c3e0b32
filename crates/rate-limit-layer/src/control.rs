use std::time::Duration;

use crate::num;

/// The guard time for jitter on the way to the upstream, learned from its answers.
///
/// It follows the share of requests refused although the log had room, and tracks the quantile at
/// which one request in a thousand is refused. Where more than one in ten is, it is not jitter: then
/// the [scale](crate::scale::Scale) is to learn, and the guard stands still.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Control {
    /// Nanoseconds that an entry counts beyond its window.
    guard: u64,

    /// Refused share, averaged over about twenty answers.
    share: f32,
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

impl Guard {
    /// Where it begins, in nanoseconds.
    pub(crate) const fn start(self) -> u64 {
        num::nanos(match self {
            Self::Fixed(guard) => guard,
            Self::Learned => START,
        })
    }
}

impl Control {
    pub(crate) const fn new(guard: Guard) -> Self {
        Self {
            guard: guard.start(),
            share: 0.0,
        }
    }

    /// Nanoseconds that an entry counts beyond its window.
    pub(crate) const fn guard(&self) -> u64 {
        self.guard
    }

    /// The guard as those see it who apply it: small moves do not concern them, the first above all.
    pub(crate) const fn notch(&self) -> u64 {
        self.guard.saturating_add(NOTICED / 2) / NOTICED
    }

    /// Sets the guard to what others have learned, within the same bounds.
    #[cfg(feature = "redis")]
    pub(crate) fn set(&mut self, guard: u64, shortest: u64) {
        self.guard = guard.min(shortest / 4).min(LONGEST);
    }

    /// Takes note of an answer. Returns whether more are refused than jitter explains.
    pub(crate) fn note(&mut self, refused: bool) -> bool {
        self.share = 0.95 * self.share + if refused { 0.05 } else { 0.0 };
        self.share > FOREIGN
    }

    /// What was last taken for jitter was not.
    pub(crate) fn forgive(&mut self) {
        self.guard = self.guard.saturating_sub(num::times(2, STEP));
    }

    /// Moves the guard after an answer; `shortest` is the shortest window in nanoseconds.
    pub(crate) fn track(&mut self, refused: bool, shortest: u64) {
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
            control.track(n % 1000 == 0, SECOND);
        }
        let drift = control.guard.abs_diff(num::nanos(START));
        assert!(drift < 25_000_000, "{}", control.guard);
    }

    #[test]
    fn the_guard_stays_within_a_quarter_of_the_window() {
        let mut control = Control::new(Guard::Learned);
        for n in 0..1000 {
            control.track(n % 15 == 0, SECOND);
        }
        let near = 240_000_000..=SECOND / 4;
        assert!(near.contains(&control.guard), "{}", control.guard);
    }

    #[test]
    fn one_refused_in_fifteen_is_jitter_and_one_in_five_is_not() {
        let mut control = Control::new(Guard::Learned);
        assert!((0..1000).all(|n| !control.note(n % 15 == 0)));
        assert!((0..20).any(|n| control.note(n % 5 == 0)));
    }
}
