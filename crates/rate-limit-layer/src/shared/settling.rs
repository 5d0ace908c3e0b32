//! What becomes of slots that were granted: given back, or settled for what was used.

use super::member::{Member, Phase, Slot};
use super::number::count;
use super::wire::Correction;
use crate::Cost;
use crate::core::{Reservation, parts};
use crate::plan::Plan;

impl Member {
    /// A request was not sent: its slot is for the next one, if it is not too late.
    pub(crate) fn give_back(&mut self, now: u64, reservation: &Reservation, plan: &Plan) {
        if reservation.slot == 0 {
            return;
        }
        let at = self.offset.ours(count(reservation.slot));
        let slot = Slot::new(at, reservation.slot, reservation.cost, at);
        if self.phase == Phase::Live && !slot.is_late(now) {
            self.slots.push_front(slot);
        } else {
            self.put_back(now, slot, plan);
        }
    }

    /// A request that was sent used `actual`.
    pub(crate) fn settle(
        &mut self,
        now: u64,
        reservation: &Reservation,
        actual: Cost,
        plan: &Plan,
    ) {
        if reservation.slot > 0 {
            self.correct(now, reservation.slot, reservation.cost, actual, plan);
        }
    }

    pub(super) fn put_back(&mut self, now: u64, slot: Slot, plan: &Plan) {
        self.store.count(|stats| stats.returned += 1);
        self.correct(now, slot.theirs, slot.cost, Cost::default(), plan);
    }

    /// What was granted at `theirs` as `cost` came to `actual`.
    pub(super) fn correct(&mut self, now: u64, theirs: u64, cost: Cost, actual: Cost, plan: &Plan) {
        let unsent = actual == Cost::default();
        let charging = plan.quota.charged();
        let (before, before_later) = parts(cost, charging);
        let (after, after_later) = parts(actual, charging);
        let units = || plan.limits().iter().map(crate::Limit::unit);
        // What was granted before the state began is told as what was sent.
        let is_known = count(theirs) >= self.known.generation;
        let less: Vec<_> = units()
            .map(|unit| {
                let later = if unsent || after_later != before_later {
                    before_later.of(unit)
                } else {
                    0
                };
                if is_known {
                    count(before.of(unit).saturating_sub(after.of(unit)) + later)
                } else {
                    0.0
                }
            })
            .collect();
        let more: Vec<_> = units()
            .map(|unit| {
                let later = if after_later == before_later {
                    0
                } else {
                    after_later.of(unit)
                };
                count(after.of(unit).saturating_sub(before.of(unit)) + later)
            })
            .collect();
        if less.iter().chain(&more).all(|part| *part <= 0.0) {
            return;
        }
        if self.outbox.corrections.is_empty() {
            self.outbox.since = now;
        }
        self.outbox.corrections.push(Correction {
            at: count(theirs),
            less,
            more,
        });
    }
}
