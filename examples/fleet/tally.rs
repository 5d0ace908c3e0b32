use std::ops::{Add, Range, Sub};
use std::time::Duration;

use model_studio_sim::{Ledger, Tally as Counts};
use rate_limit_layer::shared::StoreStats;
use serde::{Deserialize, Serialize};

use crate::job::Done;
use crate::word::Said;

/// What the instances say of their work.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    begun: u64,
    done: Vec<(usize, Done)>,
    turned_away: u64,
    calls: Calls,
}

/// Calls to the store, of whatever kind, and the slots they brought.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Calls {
    pub(crate) store: u64,
    pub(crate) grants: u64,
}

/// What the simulator has counted: not what we say of ourselves.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Counted {
    pub(crate) granted: u64,
    pub(crate) refused: u64,
}

impl Tally {
    /// Counts what an instance says.
    pub(crate) fn hear(&mut self, instance: usize, said: &Said) {
        match said {
            Said::Begun => self.begun += 1,
            Said::TurnedAway => self.turned_away += 1,
            Said::Done(done) => self.done.push((instance, *done)),
            Said::Over(calls) => self.calls(*calls),
            Said::Ready | Said::Failed(_) => {}
        }
    }

    pub(crate) fn calls(&mut self, calls: Calls) {
        self.calls = self.calls + calls;
    }

    /// Jobs that were begun and found no answer: given up, or their instance ended first.
    pub(crate) fn lost(&self) -> u64 {
        let answered = self.done.iter().filter(|(_, done)| done.answered);
        self.begun - answered.count() as u64
    }

    /// Jobs that were not begun.
    pub(crate) const fn away(&self) -> u64 {
        self.turned_away
    }

    /// Calls of the store for each slot it gave; 0 where it gave none.
    pub(crate) fn calls_per_grant(&self) -> f64 {
        ratio(self.calls.store, self.calls.grants)
    }

    /// Which part of what was sent in this time each instance sent.
    pub(crate) fn shares(&self, instances: usize, time: &Range<Duration>) -> Vec<f64> {
        let mut sent = vec![0_u64; instances];
        for (instance, _) in self.within(time) {
            sent[*instance] += 1;
        }
        let all = sent.iter().sum();
        sent.into_iter().map(|sent| ratio(sent, all)).collect()
    }

    /// The wait that so large a part of what was sent in this time stayed under.
    pub(crate) fn wait(&self, quantile: f64, time: &Range<Duration>) -> Duration {
        let mut waits: Vec<_> = self.within(time).map(|(_, done)| done.waited).collect();
        if waits.is_empty() {
            return Duration::ZERO;
        }
        let index = ((waits.len() - 1) as f64 * quantile) as usize;
        *waits.select_nth_unstable(index).1
    }

    fn within(&self, time: &Range<Duration>) -> impl Iterator<Item = &(usize, Done)> {
        let all = self.done.iter();
        all.filter(move |(_, done)| time.contains(&done.sent))
    }
}

impl Counted {
    pub(crate) fn of(ledger: &Ledger) -> Self {
        Self {
            granted: ledger.requests(),
            refused: ledger.refusals(),
        }
    }

    /// The part of what was sent that was refused.
    pub(crate) fn refused_share(self) -> f64 {
        ratio(self.refused, self.granted + self.refused)
    }
}

impl From<Counts> for Counted {
    fn from(tally: Counts) -> Self {
        Self {
            granted: tally.requests,
            refused: tally.refusals(),
        }
    }
}

impl Sub for Counted {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            granted: self.granted - before.granted,
            refused: self.refused - before.refused,
        }
    }
}

impl Add for Calls {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            store: self.store + other.store,
            grants: self.grants + other.grants,
        }
    }
}

impl From<StoreStats> for Calls {
    fn from(stats: StoreStats) -> Self {
        Self {
            store: stats.reserve_calls + stats.other_calls,
            grants: stats.grants,
        }
    }
}

/// A part of a whole, 0 of nothing.
pub(crate) fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// One a second, of instances 0 and 1 in turn, each waiting as long as it is late.
    fn tally() -> Tally {
        let mut tally = Tally::default();
        for second in 0..100 {
            let done = Done {
                sent: s(second),
                waited: s(second),
                answered: second != 7,
            };
            tally.hear(0, &Said::Begun);
            tally.hear(usize::from(second % 2 == 1), &Said::Done(done));
        }
        tally
    }

    #[test]
    fn shares_and_waits_are_of_the_time_asked_for() {
        let tally = tally();
        assert_eq!(tally.shares(3, &(s(10)..s(14))), [0.5, 0.5, 0.0]);
        assert_eq!(tally.shares(1 + 1, &(s(10)..s(11))), [1.0, 0.0]);
        assert_eq!(tally.wait(1.0, &(s(10)..s(20))), s(19));
        assert_eq!(tally.wait(0.5, &(s(0)..s(1_000))), s(49));
        assert_eq!(tally.wait(0.5, &(s(200)..s(300))), s(0));
    }

    #[test]
    fn what_was_not_answered_is_lost_whether_it_ended_or_not() {
        let mut tally = tally();
        assert_eq!(tally.lost(), 1);
        tally.hear(0, &Said::Begun);
        assert_eq!(tally.lost(), 2);
    }

    #[test]
    fn calls_of_all_instances_add_up() {
        let mut tally = Tally::default();
        assert!(tally.calls_per_grant().abs() < 1e-9);
        for _ in 0..2 {
            tally.calls(Calls {
                store: 1,
                grants: 4,
            });
        }
        assert!((tally.calls_per_grant() - 0.25).abs() < 1e-9);
    }
}
