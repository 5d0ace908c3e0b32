use std::task::Waker;

use throttle_signal::{Kind, Priority, Tenant, Wait};

use crate::core::{Core, Reservation};
use crate::lines::Order;
use crate::queue::{Queue, Standing};
use crate::wakes::Wakes;
use crate::{Cost, Unit};

/// A partition at work: the arithmetic, those who wait, and who of them is to go. Everything behind
/// the partition's one lock; knows no clock.
///
/// A slot that opens is offered to the head of the queue, by waking it. It is taken when that one
/// is polled, so what is sent is stamped when it is sent. Who does not come within [`GRACE`] has
/// stalled: the slot is offered on, each time to twice as many, and the stalled one has its place
/// back as soon as it is polled.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) core: Core,
    pub(crate) queue: Queue,
    offers: Offers,
    driver: Driving,
    paused: bool,
}

#[derive(Debug, Default)]
struct Offers {
    /// Those who were woken for a slot and not polled since.
    to: Vec<usize>,
    until: u64,
    width: usize,
}

/// Who looks after the queue when no waiter is polled.
#[derive(Debug)]
enum Driving {
    Nobody,
    Driver { armed: u64, waker: Option<Waker> },
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

/// What one who waits is told.
#[derive(Debug)]
pub(crate) enum Claim {
    Taken(Reservation),
    Pending { drive: bool },
    HandedBack { wait: u64, closed: bool },
}

/// What a request asks for, for its place in the queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asking<'a> {
    pub(crate) cost: Cost,
    pub(crate) arrived: u64,
    pub(crate) start_by: Option<u64>,
    pub(crate) priority: Priority,
    pub(crate) tenant: Option<&'a Tenant>,
}

/// How long one who was offered a slot has to be polled, in nanoseconds.
const GRACE: u64 = 2_000_000;

/// How long the driver may sleep on with nobody left to drive, in nanoseconds.
const LINGER: u64 = 1_000_000_000;

/// The time of something that depends on answers in flight.
const UNKNOWN: u64 = u64::MAX;

impl State {
    pub(crate) fn new(core: Core) -> Self {
        Self {
            paused: core.plan().paused,
            core,
            queue: Queue::default(),
            offers: Offers::default(),
            driver: Driving::Nobody,
        }
    }

    /// When `cost` could be sent behind all who wait, as far as is known.
    pub(crate) fn forecast(&mut self, now: u64, cost: &Cost) -> Option<u64> {
        if self.core.plan().settings.observe_only {
            return Some(now);
        }
        if self.paused || self.core.never_fits(cost).is_some() {
            return None;
        }
        self.core.forecast(now, self.queue.backlog(), cost)
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
        if asking.start_by.is_some_and(|start_by| start_by < now) {
            let at = self.forecast(now, &cost);
            return Admission::TooLate(at.map(|at| at.saturating_sub(now)));
        }
        let order = self.queue.order(asking.priority, asking.arrived);
        let first = self.queue.is_first(order);
        if first && self.earliest(now, &cost) <= now {
            return Admission::Now(self.core.reserve(now, cost));
        }
        if let Some(start_by) = asking.start_by {
            let at = if first {
                Some(self.earliest(now, &cost)).filter(|at| *at != UNKNOWN)
            } else {
                self.forecast(now, &cost)
            };
            // Waiting for an answer in flight takes no known time; it may still be in time.
            if let Some(at) = at.filter(|at| *at > start_by) {
                return Admission::TooLate(Some(at.saturating_sub(now)));
            }
        }
        if self
            .core
            .plan()
            .settings
            .max_waiting
            .is_some_and(|most| self.queue.len() >= most)
        {
            let at = self.forecast(now, &cost);
            return Admission::TooLate(at.map(|at| at.saturating_sub(now)));
        }
        Admission::Queued(self.enqueue(order, asking))
    }

    fn enqueue(&mut self, order: Order, asking: &Asking<'_>) -> usize {
        self.queue
            .push(asking.tenant, order, asking.cost, asking.start_by)
    }

    /// One who waits was polled.
    pub(crate) fn claim(&mut self, now: u64, id: usize, by: &Waker, wakes: &mut Wakes) -> Claim {
        let offered = self.offers.withdraw(id);
        self.queue.rejoin(now, id);
        let Some(waiting) = self.queue.get_mut(id) else {
            return Claim::HandedBack {
                wait: 0,
                closed: false,
            };
        };
        let cost = waiting.cost;
        if waiting.standing == Standing::HandedBack {
            let closed = self.core.closed_until() > now;
            self.queue.remove(id);
            let at = self.forecast(now, &cost).unwrap_or(now);
            let wait = at.saturating_sub(now);
            return Claim::HandedBack { wait, closed };
        }
        if (offered || self.queue.head() == Some(id)) && self.earliest(now, &cost) <= now {
            let reservation = self.core.reserve(now, cost);
            let weight = self.core.plan().settings.weight(self.queue.tenant(id));
            self.queue.charge(id, self.core.share(&cost) / weight);
            self.queue.remove(id);
            self.changed(now, wakes);
            return Claim::Taken(reservation);
        }
        if let Some(waiting) = self.queue.get_mut(id) {
            match &mut waiting.waker {
                Some(set) => set.clone_from(by),
                none => *none = Some(by.clone()),
            }
        }
        let drive = matches!(self.driver, Driving::Nobody);
        if drive {
            self.driver = Driving::Driver {
                armed: 0,
                waker: None,
            };
        } else {
            self.changed(now, wakes);
        }
        Claim::Pending { drive }
    }

    /// One who waits is gone.
    pub(crate) fn cancel(&mut self, now: u64, id: usize, wakes: &mut Wakes) {
        self.offers.withdraw(id);
        self.queue.remove(id);
        self.changed(now, wakes);
    }

    /// Moves what was reserved to `now`, when it is really sent. If it has no room there any more it
    /// is given back, and the request waits again under the number returned.
    pub(crate) fn restamp(
        &mut self,
        now: u64,
        reservation: &mut Reservation,
        asking: &Asking<'_>,
        wakes: &mut Wakes,
    ) -> Option<usize> {
        if now.saturating_sub(reservation.at) <= GRACE {
            // Within the slack of a timer the place is as good.
            return None;
        }
        self.core.refund(now, reservation);
        let cost = reservation.cost;
        if self.core.plan().settings.observe_only || self.earliest(now, &cost) <= now {
            *reservation = self.core.reserve(now, cost);
            return None;
        }
        let order = self.queue.order(asking.priority, asking.arrived);
        let id = self.enqueue(order, asking);
        self.changed(now, wakes);
        Some(id)
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

    pub(crate) fn set_paused(&mut self, now: u64, paused: bool, wakes: &mut Wakes) {
        self.paused = paused;
        self.changed(now, wakes);
    }

    /// Looks after the queue once something changed. The driver is woken only to look earlier than
    /// it would.
    pub(crate) fn changed(&mut self, now: u64, wakes: &mut Wakes) {
        let next = if self.queue.len() == 0 {
            None
        } else {
            self.tick(now, wakes)
        };
        let Driving::Driver { armed, waker } = &mut self.driver else {
            return;
        };
        match next {
            Some(next) if next < *armed => {
                *armed = next;
                wakes.push(waker.take());
            }
            // With nobody left it is to end; if that is soon by itself, someone may come until then.
            None if *armed > now.saturating_add(LINGER) => wakes.push(waker.take()),
            _ => {}
        }
    }

    /// The driver was polled. Returns when it is to look again, or `None` when nobody is left to be
    /// looked after and it is to end.
    pub(crate) fn drive(&mut self, now: u64, by: &Waker, wakes: &mut Wakes) -> Option<u64> {
        let next = self.tick(now, wakes);
        self.driver = match next {
            Some(next) => Driving::Driver {
                armed: next,
                waker: Some(by.clone()),
            },
            None => Driving::Nobody,
        };
        next
    }

    /// The driver is gone before its time, with its runtime. Another one is begun by whoever is
    /// polled next.
    pub(crate) fn abandon(&mut self, wakes: &mut Wakes) {
        self.driver = Driving::Nobody;
        self.queue.wake_all(wakes);
    }

    /// Offers the slot that is open, if one is, and says when to look again.
    fn tick(&mut self, now: u64, wakes: &mut Wakes) -> Option<u64> {
        loop {
            if !self.offers.to.is_empty() && now >= self.offers.until {
                for id in self.offers.to.drain(..) {
                    self.queue.stall(id);
                }
                self.offers.width = self.offers.width.max(1).saturating_mul(2);
            }
            let cost = self.queue.head_cost()?;
            let at = self.earliest(now, &cost);
            // A wait for an answer in flight may be over at any moment.
            let sure = if at == UNKNOWN { now } else { at };
            if self.queue.hand_back(sure.max(now), wakes) {
                continue;
            }
            let overdue = self.queue.first_overdue().unwrap_or(UNKNOWN);
            if !self.offers.to.is_empty() {
                return Some(self.offers.until.min(overdue));
            }
            if at > now {
                return Some(at.min(overdue));
            }
            self.offer(now, wakes);
        }
    }

    /// Offers the open slot to the first in line.
    fn offer(&mut self, now: u64, wakes: &mut Wakes) {
        self.offers.until = now.saturating_add(GRACE);
        for id in self.queue.first(self.offers.width.max(1)) {
            if let Some(waiting) = self.queue.get_mut(id) {
                wakes.push(waiting.waker.take());
            }
            self.offers.to.push(id);
        }
    }

    fn earliest(&mut self, now: u64, cost: &Cost) -> u64 {
        if self.paused {
            return UNKNOWN;
        }
        self.core.earliest(now, cost).unwrap_or(UNKNOWN)
    }
}

impl Offers {
    /// One was polled: whether a slot was offered to it.
    fn withdraw(&mut self, id: usize) -> bool {
        let Some(at) = self.to.iter().position(|to| *to == id) else {
            return false;
        };
        self.to.swap_remove(at);
        self.width = 1;
        true
    }
}
