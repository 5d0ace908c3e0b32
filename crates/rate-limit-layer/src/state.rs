#[cfg(feature = "redis")]
mod fleet;

use std::sync::Arc;
use std::task::Waker;

use throttle_signal::{Fingerprint, Kind, Priority, Tenant, Wait};

use crate::core::{Core, Reservation};
use crate::plan::Plan;
use crate::turns::{Claim, Turns};
use crate::wakes::Wakes;
use crate::{Cost, Unit};

/// A partition at work: the arithmetic, and those who wait for it. Everything behind the partition's
/// one lock; knows no clock.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) core: Core,

    /// There only while anyone waits: of many partitions most never have it.
    turns: Option<Box<Turns>>,
}

/// What a newcomer is told.
#[derive(Debug)]
pub(crate) enum Admission {
    /// Send it now.
    Now(Reservation),

    /// It waits, under this number.
    Queued(usize),

    /// It would wait longer than it can: until then, in nanoseconds from now, as far as is known.
    TooLate(Option<u64>),

    /// It is larger than any window of this unit.
    Never(Unit),

    /// The quota is exhausted, for so many nanoseconds.
    Closed(u64),
}

/// What a request asks for, for its place in the queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asking<'a> {
    pub(crate) cost: Cost,
    pub(crate) arrived: u64,
    pub(crate) start_by: Option<u64>,
    pub(crate) priority: Priority,
    pub(crate) tenant: Option<&'a Tenant>,
    pub(crate) key: Option<&'a Fingerprint>,
}

impl State {
    pub(crate) const fn new(core: Core) -> Self {
        Self { core, turns: None }
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.turns.as_ref().map_or(0, |turns| turns.queue().len())
    }

    /// Whether forgetting it would change nothing.
    pub(crate) fn is_idle(&mut self, now: u64) -> bool {
        #[cfg(feature = "redis")]
        if self.core.member().is_some_and(|member| !member.is_idle()) || self.core.sent_lately(now)
        {
            return false;
        }
        self.waiting() == 0 && self.core.is_idle(now) && !self.core.remembers(now)
    }

    /// When `cost` could be sent behind all who wait, as far as is known.
    pub(crate) fn forecast(&mut self, now: u64, cost: &Cost) -> Option<u64> {
        if self.core.plan().settings.observe_only {
            return Some(now);
        }
        if self.core.never_fits(cost).is_some() {
            return None;
        }
        match &self.turns {
            None => self.core.earliest(now, cost),
            Some(turns) => self.core.forecast(now, turns.queue().backlog(), cost),
        }
    }

    /// Admits a newcomer, or tells it why not.
    pub(crate) fn ask(&mut self, now: u64, asking: &Asking<'_>) -> Admission {
        let cost = asking.cost;
        if self.core.plan().settings.observe_only {
            return Admission::Now(self.core.reserve(now, cost));
        }
        if let Some(unit) = self.core.never_fits(&cost) {
            return Admission::Never(unit);
        }
        if self.core.closed_until() > now {
            return Admission::Closed(self.core.closed_until() - now);
        }
        let asking = &self.bounded(now, asking);
        if asking.start_by.is_some_and(|start_by| start_by < now) {
            return self.too_late(now, &cost);
        }
        let first = self.turns.as_mut().is_none_or(|turns| {
            let order = turns.order(asking);
            turns.queue().is_first(order)
        });
        if first {
            if let Some(reservation) = self.core.admit(now, &cost) {
                return Admission::Now(reservation);
            }
        }
        if let Some(start_by) = asking.start_by {
            let at = if first {
                self.core.earliest(now, &cost)
            } else {
                self.forecast(now, &cost)
            };
            // Waiting for an answer in flight takes no known time; it may still be in time.
            if let Some(at) = at.filter(|at| *at > start_by) {
                return Admission::TooLate(Some(at.saturating_sub(now)));
            }
        }
        let most = self.core.plan().settings.max_waiting;
        if most.is_some_and(|most| self.waiting() >= most) {
            return self.too_late(now, &cost);
        }
        Admission::Queued(self.enqueue(asking))
    }

    /// One who waits was polled.
    pub(crate) fn claim(
        &mut self,
        now: u64,
        id: usize,
        by: &Waker,
        wakes: &mut Wakes,
    ) -> Claim<()> {
        self.turn(now, |turns, core| turns.claim(core, now, id, by, wakes))
    }

    /// The service below is ready for one whose turn had come.
    pub(crate) fn take(
        &mut self,
        now: u64,
        id: usize,
        by: &Waker,
        wakes: &mut Wakes,
    ) -> Claim<Reservation> {
        self.turn(now, |turns, core| turns.take(core, now, id, by, wakes))
    }

    /// The service below is not ready for one whose turn had come.
    pub(crate) fn hold(&mut self, now: u64, id: usize, by: &Waker, wakes: &mut Wakes) -> Claim<()> {
        self.turn(now, |turns, core| turns.hold(core, now, id, by, wakes))
    }

    fn turn<T>(&mut self, now: u64, act: impl FnOnce(&mut Turns, &mut Core) -> T) -> T {
        let turns = self.turns.get_or_insert_default();
        let told = act(turns, &mut self.core);
        self.mind(now);
        self.tidy();
        told
    }

    /// One who waits is gone.
    pub(crate) fn cancel(&mut self, now: u64, id: usize, wakes: &mut Wakes) {
        if let Some(turns) = &mut self.turns {
            turns.cancel(&mut self.core, now, id, wakes);
            self.mind(now);
            self.tidy();
        }
    }

    /// Those who wait with this key, or all, are not to be sent any more. They may have their turn already.
    pub(crate) fn recall(&mut self, now: u64, key: Option<&Fingerprint>, wakes: &mut Wakes) {
        if let Some(turns) = &mut self.turns {
            turns.recall(&mut self.core, now, key, wakes);
            self.mind(now);
        }
    }

    pub(crate) fn refund(&mut self, now: u64, reservation: &Reservation, wakes: &mut Wakes) {
        self.core.refund(now, reservation);
        self.changed(now, wakes);
    }

    pub(crate) fn settle(
        &mut self,
        now: u64,
        reservation: &Reservation,
        actual: Cost,
        wakes: &mut Wakes,
    ) {
        self.core.settle(now, reservation, actual);
        self.changed(now, wakes);
    }

    pub(crate) fn refused(
        &mut self,
        now: u64,
        reservation: &Reservation,
        kind: Kind,
        wait: Wait,
        wakes: &mut Wakes,
    ) -> bool {
        let paced = self.core.refused(now, reservation, kind, wait);
        self.changed(now, wakes);
        paced && !self.core.plan().settings.observe_only
    }

    /// Swaps the quota, unless it is the one there is.
    pub(crate) fn set_plan(&mut self, now: u64, plan: &Arc<Plan>, wakes: &mut Wakes) {
        if !Arc::ptr_eq(self.core.plan(), plan) {
            self.core.set_plan(now, Arc::clone(plan));
            self.changed(now, wakes);
        }
    }

    /// Looks after those who wait once something changed.
    pub(crate) fn changed(&mut self, now: u64, wakes: &mut Wakes) {
        if let Some(turns) = &mut self.turns {
            turns.changed(&mut self.core, now, wakes);
        }
        self.mind(now);
    }

    /// The driver was polled. Returns when it is to look again, or `None` when nobody is left to be
    /// looked after and it is to end.
    pub(crate) fn drive(&mut self, now: u64, by: &Waker, wakes: &mut Wakes) -> Option<u64> {
        let turns = self.turns.as_mut()?;
        let next = turns.drive(&mut self.core, now, by, wakes);
        self.mind(now);
        self.tidy();
        next
    }

    /// The driver is gone before its time, with its runtime. Another one is begun by whoever is
    /// polled next.
    pub(crate) fn abandon(&mut self, wakes: &mut Wakes) {
        if let Some(turns) = &mut self.turns {
            turns.abandon(wakes);
            self.tidy();
        }
    }

    /// Has the member of a fleet look after its slots.
    #[cfg_attr(
        not(feature = "redis"),
        allow(
            clippy::unused_self,
            clippy::needless_pass_by_ref_mut,
            reason = "there is no fleet"
        )
    )]
    #[inline]
    fn mind(&mut self, now: u64) {
        #[cfg(feature = "redis")]
        {
            let turns = self.turns.as_deref();
            self.core
                .with_member(|member, core| member.mind(now, core, turns.map(Turns::queue)));
        }
        #[cfg(not(feature = "redis"))]
        let _ = now;
    }

    fn enqueue(&mut self, asking: &Asking<'_>) -> usize {
        let turns = self.turns.get_or_insert_default();
        let order = turns.order(asking);
        turns.enqueue(order, asking)
    }

    fn too_late(&mut self, now: u64, cost: &Cost) -> Admission {
        let at = self.forecast(now, cost);
        Admission::TooLate(at.map(|at| at.saturating_sub(now)))
    }

    /// What is asked for, with the longest wait there is. It begins now: what arrived long ago may
    /// have been sent since, and be back.
    fn bounded<'a>(&self, now: u64, asking: &Asking<'a>) -> Asking<'a> {
        let longest = self.core.plan().settings.max_wait;
        let most = longest.map(|wait| now.saturating_add(wait));
        Asking {
            start_by: match (asking.start_by, most) {
                (Some(at), Some(most)) => Some(at.min(most)),
                (at, most) => at.or(most),
            },
            ..*asking
        }
    }

    fn tidy(&mut self) {
        if self.turns.as_ref().is_some_and(|turns| turns.are_over()) {
            self.turns = None;
        }
    }
}
