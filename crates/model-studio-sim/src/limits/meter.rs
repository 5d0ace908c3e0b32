use super::window::{Counting, Window};

/// What a window that keeps no log has to remember.
#[derive(Clone, Debug)]
pub(super) enum Meter {
    /// The partition's log knows.
    Sliding,
    /// Index of the present window, and what it has counted.
    Fixed { index: u64, used: u64 },
    /// Index of the present window, what it has counted, and what the one before had.
    Counter {
        index: u64,
        current: u64,
        previous: u64,
    },
    /// The level at a time, in units × nanoseconds of the window's length, so that refilling is
    /// exact. Below zero: a debt.
    Bucket { at: u64, level: i128 },
}

impl Meter {
    pub(super) fn new(window: &Window) -> Self {
        match window.counting {
            Counting::Sliding => Self::Sliding,
            Counting::Fixed => Self::Fixed { index: 0, used: 0 },
            Counting::Counter => Self::Counter {
                index: 0,
                current: 0,
                previous: 0,
            },
            Counting::Bucket { depth } => Self::Bucket {
                at: 0,
                level: scale(depth, window),
            },
        }
    }

    /// Brings the meter to `now`. Until then `limit` and `depth` units were left by strangers.
    pub(super) fn advance(&mut self, window: &Window, now: u64, limit: u64, depth: u64) {
        let (present, _) = window.place(now);
        match self {
            Self::Sliding => {}
            Self::Fixed { index, used } => {
                if *index != present {
                    (*index, *used) = (present, 0);
                }
            }
            Self::Counter {
                index,
                current,
                previous,
            } => {
                if *index != present {
                    *previous = if *index + 1 == present { *current } else { 0 };
                    (*index, *current) = (present, 0);
                }
            }
            Self::Bucket { at, level } => {
                let elapsed = i128::from(now.saturating_sub(*at));
                let refilled = elapsed.saturating_mul(i128::from(limit));
                *level = level.saturating_add(refilled).min(scale(depth, window));
                *at = now;
            }
        }
    }

    /// Whether `cost` more fit at `now`, to which the meter was brought. `logged` is what the log
    /// has for a sliding window.
    pub(super) fn fits(
        &self,
        window: &Window,
        now: u64,
        limit: u64,
        logged: u64,
        cost: u64,
    ) -> bool {
        match *self {
            Self::Sliding => logged.saturating_add(cost) <= limit,
            Self::Fixed { used, .. } => used.saturating_add(cost) <= limit,
            Self::Counter {
                current, previous, ..
            } => {
                // previous × (1 − share passed) + current + cost ≤ limit, times the length.
                let (_, into) = window.place(now);
                let length = u128::from(window.length);
                let weighted = u128::from(previous) * (length - u128::from(into));
                let counted = (u128::from(current) + u128::from(cost)).saturating_mul(length);
                weighted.saturating_add(counted) <= u128::from(limit) * length
            }
            Self::Bucket { level, .. } => level >= scale(cost, window),
        }
    }

    /// Takes `amount`, whether it fits or not.
    pub(super) fn take(&mut self, window: &Window, amount: u64) {
        match self {
            Self::Sliding => {}
            Self::Fixed { used, .. } => *used = used.saturating_add(amount),
            Self::Counter { current, .. } => *current = current.saturating_add(amount),
            Self::Bucket { level, .. } => *level = level.saturating_sub(scale(amount, window)),
        }
    }

    /// Counts a refused request: as [`take`](Self::take), but a bucket gives what it has.
    pub(super) fn take_refused(&mut self, window: &Window) {
        match self {
            Self::Bucket { level, .. } => {
                *level = (*level).min((*level - scale(1, window)).max(0));
            }
            _ => self.take(window, 1),
        }
    }

    /// Changes what was taken at `at` from `before` to `after`, where that still counts. A bucket
    /// may be overfull until it is next brought to a time.
    pub(super) fn correct(&mut self, window: &Window, at: u64, before: u64, after: u64) {
        let (then, _) = window.place(at);
        let fix = |used: &mut u64| *used = used.saturating_sub(before).saturating_add(after);
        match self {
            Self::Sliding => {}
            Self::Fixed { index, used } => {
                if *index == then {
                    fix(used);
                }
            }
            Self::Counter {
                index,
                current,
                previous,
            } => {
                if *index == then {
                    fix(current);
                } else if *index == then.saturating_add(1) {
                    fix(previous);
                }
            }
            Self::Bucket { level, .. } => {
                *level = level
                    .saturating_add(scale(before, window))
                    .saturating_sub(scale(after, window));
            }
        }
    }
}

fn scale(units: u64, window: &Window) -> i128 {
    i128::from(units).saturating_mul(i128::from(window.length))
}
