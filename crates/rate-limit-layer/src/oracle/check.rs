//! What is checked: each request that is admitted, and what is left in the end.

use std::sync::atomic::Ordering;

use super::{GUARD, MS, One, World};
use crate::core::Reservation;
use crate::{Cost, Limit};

impl World {
    /// Checks a request that was admitted now against everything sent before.
    pub(super) fn admitted(&mut self, reservation: Reservation) {
        assert_eq!(reservation.at, self.now);
        for (limit, unseen) in self.quota.limits().iter().zip(&self.unseen) {
            let cost = reservation.cost.of(limit.unit());
            let used = self.used(limit, *unseen);
            // One that is larger than the window has it to itself.
            assert!(
                used + cost <= limit.most() || used == 0 || cost == 0,
                "{used} + {cost} in {limit:?}"
            );
        }
        if let Some(most) = self.quota.max_concurrent() {
            assert!(
                self.sent.len() < most.get() as usize,
                "{} in flight",
                self.sent.len()
            );
        }
        self.sent.push(reservation);
        self.all.push((reservation.at, reservation.cost));
    }

    fn used(&self, limit: &Limit, unseen: usize) -> u64 {
        // Merging entries may make them count longer by a thousandth, never shorter.
        let counts = |at: &u64| at + limit.nanos() + GUARD > self.now;
        let seen = self.all[unseen..].iter().filter(|(at, _)| counts(at));
        seen.map(|(_, cost)| cost.of(limit.unit())).sum()
    }

    pub(super) fn count_as(&mut self, reservation: &Reservation, actual: Cost) {
        let at = self
            .all
            .iter()
            .position(|(at, cost)| (*at, *cost) == (reservation.at, reservation.cost));
        self.all[at.unwrap()].1 = actual;
    }

    /// Ends everything well, and looks for what is left.
    pub(super) fn finish(mut self) {
        self.set_paused(false);
        for one in &mut self.waiting {
            (one.stalled, one.unready) = (false, false);
            one.flag.0.store(true, Ordering::Relaxed);
        }
        for _ in 0..400 {
            self.pass(2_000 * MS);
            for sent in std::mem::take(&mut self.sent) {
                self.act(|state, now, wakes| state.settle(now, &sent, sent.cost, wakes));
            }
        }
        let fits = |one: &One| self.state.core.never_fits(&one.asked.0).is_none();
        assert_eq!(
            self.waiting.iter().filter(|one| fits(one)).count(),
            0,
            "lost waiters"
        );
        for one in std::mem::take(&mut self.waiting) {
            self.act(|state, now, wakes| state.cancel(now, one.id, wakes));
        }
        self.pass(700_000 * MS);
        assert_eq!(self.state.waiting(), 0);
        assert_eq!(self.state.core.in_flight(), 0);
        assert!(self.state.core.is_idle(self.now), "{:?}", self.state.core);
        assert!(self.driver.is_none(), "the driver has not ended");
    }
}
