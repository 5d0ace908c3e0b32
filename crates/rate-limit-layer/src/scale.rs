/// The share of the limits that is taken for ours, while others use up the rest.
///
/// It is cut when requests sent since the last cut are refused, and raised slowly as they are
/// answered. Where refusals have nothing to do with our rate that would be for nothing: when going
/// slower does not help, full speed is tried for thirty requests, and if that is answered no worse,
/// it stays.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    value: f32,

    /// When it was last changed.
    changed: u64,

    /// Whether anything sent since it was cut was answered.
    helped: bool,

    /// What became of requests while it was low, or during a trial.
    tally: Tally,
    trial: Option<Before>,

    /// When it may be cut, and full speed tried, again.
    rest_until: u64,
    rest: u64,
    trial_from: u64,
}

/// How it was before full speed was tried.
#[derive(Clone, Copy, Debug)]
struct Before {
    value: f32,
    answered: f32,
}

/// How many were sent, and how many of them refused.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    sent: u16,
    refused: u16,
}

const LEAST: f32 = 0.05;
const CUT: f32 = 0.8;
const TRIM: f32 = 0.93;
const RAISE: f32 = 1.02;

/// The least time before it is raised, in nanoseconds. It doubles in a minute or so: faster, and it
/// has overshot before a window of a minute is full again.
const PACE: u64 = 2_000_000_000;

/// What is low enough to tell whether going slower helps. Until that is known it goes no lower than
/// half of this.
const LOW: f32 = 0.55;

/// How many requests tell, and which share of them is answered if it helps.
const JUDGED: u16 = 40;
const HELPED: f32 = 0.9;

/// How many requests are tried at full speed, and how many refusals end the trial. With fewer, luck
/// decides: of twelve requests refused at random one time in five, four or more are every fifth time.
const TRIED: u16 = 30;
const ENOUGH: u16 = 15;

/// The share of what was answered at low speed that full speed has to reach to be no worse.
const NO_WORSE: f32 = 0.7;

/// How long nothing is cut, or tried, after a trial. It doubles with each that ends the same.
const REST: u64 = 60_000_000_000;
const LONGEST: u64 = 15 * REST;

impl Scale {
    const fn new() -> Self {
        Self {
            value: 1.0,
            changed: 0,
            helped: true,
            tally: Tally {
                sent: 0,
                refused: 0,
            },
            trial: None,
            rest_until: 0,
            rest: REST,
            trial_from: 0,
        }
    }

    pub(crate) const fn value(&self) -> f32 {
        self.value
    }

    /// Whether some of the limits are taken for others'.
    pub(crate) fn is_down(&self) -> bool {
        self.value < 1.0 || self.trial.is_some()
    }

    /// Learns from the answer to a request sent at `sent`.
    pub(crate) fn learn(&mut self, now: u64, sent: u64, refused: bool) {
        // What was sent before the last change says nothing about it.
        if now < self.rest_until || sent <= self.changed {
            return;
        }
        if self.trial.is_some() || self.value <= LOW {
            self.tally.add(refused);
        }
        if let Some(before) = self.trial {
            if self.tally.sent >= TRIED || self.tally.refused >= ENOUGH {
                self.judge(now, before);
            }
        } else if self.is_to_be_tried(now) {
            let answered = self.tally.answered();
            self.trial = Some(Before {
                value: self.value,
                answered,
            });
            self.set(now, 1.0);
            self.tally = Tally::default();
        } else if refused {
            // Once it has helped it is a matter of staying just below what others leave.
            let cut = if self.helped && self.value < 1.0 {
                TRIM
            } else {
                CUT
            };
            let least = if self.trial_from == 0 {
                LOW / 2.0
            } else {
                LEAST
            };
            self.set(now, (self.value * cut).max(least));
            self.helped = false;
        } else {
            self.helped = true;
            if self.value < 1.0 && now.saturating_sub(self.changed) > PACE {
                self.set(now, (self.value * RAISE).min(1.0));
            }
        }
    }

    /// Whether going slower does not help, and it is time to see whether going faster hurts.
    fn is_to_be_tried(&mut self, now: u64) -> bool {
        if self.tally.sent < JUDGED || now < self.trial_from {
            return false;
        }
        let helps = self.tally.answered() >= HELPED;
        if helps {
            self.tally = Tally::default();
        }
        !helps
    }

    fn judge(&mut self, now: u64, before: Before) {
        let answered = self.tally.answered();
        let soon = now.saturating_sub(self.trial_from) < 2 * self.rest;
        self.rest = if soon {
            self.rest.saturating_mul(2).min(LONGEST)
        } else {
            REST
        };
        self.trial_from = now.saturating_add(self.rest);
        if answered > NO_WORSE * before.answered {
            self.rest_until = self.trial_from;
        } else {
            self.set(now, before.value);
        }
        self.trial = None;
        self.tally = Tally::default();
    }

    const fn set(&mut self, now: u64, value: f32) {
        self.value = value;
        self.changed = now;
    }
}

impl Default for Scale {
    fn default() -> Self {
        Self::new()
    }
}

impl Tally {
    fn add(&mut self, refused: bool) {
        if self.sent >= 100 {
            // What is long ago counts half.
            self.sent /= 2;
            self.refused /= 2;
        }
        self.sent += 1;
        self.refused += u16::from(refused);
    }

    fn answered(self) -> f32 {
        1.0 - f32::from(self.refused) / f32::from(self.sent.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::num;

    const SECOND: u64 = 1_000_000_000;

    /// Sends for so many seconds, ten a second times the scale; returns the mean scale.
    fn run(scale: &mut Scale, from: u64, seconds: u64, mut server: impl FnMut(f32) -> bool) -> f64 {
        let (mut now, until) = (from * SECOND, (from + seconds) * SECOND);
        let (mut sum, mut time) = (0.0, 0.0);
        while now < until {
            let gap = num::times(SECOND / 10, 1.0 / f64::from(scale.value()));
            now += gap;
            sum += f64::from(scale.value()) * num::float(gap);
            time += num::float(gap);
            let refused = server(scale.value());
            scale.learn(now, now, refused);
        }
        sum / time
    }

    /// Pseudorandom, one in `of`.
    fn dice(of: u64) -> impl FnMut() -> bool {
        let mut seed = 7_u64;
        move || {
            seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            (mixed >> 40) % of == 0
        }
    }

    #[test]
    fn it_falls_to_what_others_leave_and_comes_back() {
        let mut scale = Scale::new();
        let mean = run(&mut scale, 0, 300, |value| value > 0.5);
        assert!((0.45..0.55).contains(&mean), "{mean}");
        run(&mut scale, 300, 120, |_| false);
        assert!(!scale.is_down(), "{scale:?}");
    }

    #[test]
    fn it_falls_far_where_others_leave_little() {
        let mut scale = Scale::new();
        run(&mut scale, 0, 600, |value| value > 0.1);
        let mean = run(&mut scale, 600, 600, |value| value > 0.1);
        assert!((0.08..0.15).contains(&mean), "{mean}");
    }

    #[test]
    fn refusals_at_random_do_not_slow_it_down() {
        let mut scale = Scale::new();
        let mut refuses = dice(5);
        let mean = run(&mut scale, 0, 300, |_| refuses());
        assert!(mean > 0.85, "{mean}");
    }
}
