use std::task::Waker;

use throttle_signal::Fingerprint;

use crate::core::{Core, Reservation};
use crate::queue::Queue;
use crate::row::Order;
use crate::state::Asking;
use crate::wakes::Wakes;

/// Those who wait at a partition, and whose turn it is. Knows no clock.
///
/// A slot that opens is offered to the head of the queue, by waking it. It is taken when that one
/// is polled and the service below is ready, so what is sent is stamped when it is sent, and nobody
/// holds what it cannot use yet. Who does not come within [`GRACE`] has stalled: the slot is offered
/// on, each time to twice as many, and the stalled one has its place back as soon as it comes. So has
/// one who came and found the service below not ready.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    queue: Queue,
    offers: Offers,
    driver: Driving,
}

#[derive(Debug, Default)]
struct Offers {
    /// Those whose turn it is and who have not taken the slot yet.
    to: Vec<usize>,
    until: u64,
    width: usize,

    /// Whether one of them has come and has to wait for the service below.
    unready: bool,
}

/// Who looks after the queue when no waiter is polled.
#[derive(Debug, Default)]
enum Driving {
    #[default]
    Nobody,
    Driver {
        armed: u64,
        waker: Option<Waker>,
    },
}

/// What one who waits is told.
#[derive(Debug)]
pub(crate) enum Claim<T> {
    Granted(T),
    Pending { drive: bool },
    HandedBack(HandedBack),
}

/// What one is told that is not sent: how long it would have to wait, in nanoseconds, and whether
/// because the quota is exhausted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HandedBack {
    pub(crate) wait: u64,
    pub(crate) closed: bool,
}

/// How long one who was offered a slot has to be polled, in nanoseconds.
const GRACE: u64 = 2_000_000;

/// How long the driver may sleep on with nobody left to drive, in nanoseconds.
const LINGER: u64 = 1_000_000_000;

/// The time of something that depends on answers in flight.
const UNKNOWN: u64 = u64::MAX;

impl Turns {
    pub(crate) const fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Whether nobody waits and nobody looks after them.
    pub(crate) fn are_over(&self) -> bool {
        self.queue.len() == 0 && matches!(self.driver, Driving::Nobody)
    }

    /// Has one wait, and returns its number.
    pub(crate) fn enqueue(&mut self, order: Order, asking: &Asking<'_>) -> usize {
        let start_by = asking.start_by;
        self.queue
            .push(asking.tenant, asking.key, order, asking.cost, start_by)
    }

    /// The place of a newcomer.
    pub(crate) fn order(&mut self, asking: &Asking<'_>) -> Order {
        self.queue.order(asking.priority, asking.arrived)
    }

    /// One who waits was polled. Granted when its turn has come: it is to [take](Self::take) the slot.
    pub(crate) fn claim(
        &mut self,
        core: &mut Core,
        now: u64,
        id: usize,
        by: &Waker,
        wakes: &mut Wakes,
    ) -> Claim<()> {
        self.queue.rejoin(now, id);
        let Some(cost) = self.queue.asked(id) else {
            return self.hand_back(core, now, id, wakes);
        };
        if self.offers.has(id) {
            return Claim::Granted(());
        }
        if self.queue.head() == Some(id) && core.earliest(now, &cost) == Some(now) {
            self.offers.add(now, id);
            return Claim::Granted(());
        }
        self.wait(core, now, id, by, wakes)
    }

    /// The service below is ready for one whose turn had come. Granted what it asked for, unless that is
    /// gone: then it is in line again.
    pub(crate) fn take(
        &mut self,
        core: &mut Core,
        now: u64,
        id: usize,
        by: &Waker,
        wakes: &mut Wakes,
    ) -> Claim<Reservation> {
        self.queue.rejoin(now, id);
        let Some(cost) = self.queue.asked(id) else {
            return self.hand_back(core, now, id, wakes);
        };
        // Who is ready goes before those who are known not to be.
        let is_next = self.offers.has(id) || self.offers.unready || self.queue.head() == Some(id);
        self.offers.withdraw(id);
        if let Some(reservation) = is_next.then(|| core.admit(now, &cost)).flatten() {
            let weight = core.plan().settings.weight(self.queue.tenant(id));
            self.queue.charge(id, core.share(&cost) / weight);
            self.queue.remove(id);
            self.changed(core, now, wakes);
            return Claim::Granted(reservation);
        }
        self.wait(core, now, id, by, wakes)
    }

    /// The service below is not ready for one whose turn had come. It is woken by `by` when it is called
    /// back, or its time is over.
    pub(crate) fn hold(
        &mut self,
        core: &mut Core,
        now: u64,
        id: usize,
        by: &Waker,
        wakes: &mut Wakes,
    ) -> Claim<()> {
        if self.queue.asked(id).is_none() {
            return self.hand_back(core, now, id, wakes);
        }
        self.offers.unready |= self.offers.has(id);
        self.wait(core, now, id, by, wakes)
    }

    fn wait<T>(
        &mut self,
        core: &mut Core,
        now: u64,
        id: usize,
        by: &Waker,
        wakes: &mut Wakes,
    ) -> Claim<T> {
        self.queue.set_waker(id, by);
        let drive = matches!(self.driver, Driving::Nobody);
        if drive {
            self.driver = Driving::Driver {
                armed: 0,
                waker: None,
            };
        } else {
            self.changed(core, now, wakes);
        }
        Claim::Pending { drive }
    }

    /// One is not to be sent any more.
    fn hand_back<T>(
        &mut self,
        core: &mut Core,
        now: u64,
        id: usize,
        wakes: &mut Wakes,
    ) -> Claim<T> {
        let cost = self.queue.cost(id);
        self.cancel(core, now, id, wakes);
        let at = cost.and_then(|cost| core.forecast(now, self.queue.backlog(), &cost));
        Claim::HandedBack(HandedBack {
            wait: at.map_or(0, |at| at.saturating_sub(now)),
            closed: core.closed_until() > now,
        })
    }

    /// One who waits is gone.
    pub(crate) fn cancel(&mut self, core: &mut Core, now: u64, id: usize, wakes: &mut Wakes) {
        self.offers.withdraw(id);
        self.queue.remove(id);
        self.changed(core, now, wakes);
    }

    /// Hands back those who wait with this key, or all.
    pub(crate) fn recall(
        &mut self,
        core: &mut Core,
        now: u64,
        key: Option<&Fingerprint>,
        wakes: &mut Wakes,
    ) {
        let offers = &mut self.offers;
        self.queue.recall(key, wakes, |id| offers.withdraw(id));
        self.changed(core, now, wakes);
    }

    /// Looks after the queue once something changed. The driver is woken only to look earlier than
    /// it would.
    pub(crate) fn changed(&mut self, core: &mut Core, now: u64, wakes: &mut Wakes) {
        let next = if self.queue.len() == 0 {
            None
        } else {
            self.tick(core, now, wakes)
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
    pub(crate) fn drive(
        &mut self,
        core: &mut Core,
        now: u64,
        by: &Waker,
        wakes: &mut Wakes,
    ) -> Option<u64> {
        let next = self.tick(core, now, wakes);
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
    fn tick(&mut self, core: &mut Core, now: u64, wakes: &mut Wakes) -> Option<u64> {
        loop {
            if !self.offers.to.is_empty() && now >= self.offers.until {
                self.offers.pass_on(|id| self.queue.stall(id));
            }
            let at = self
                .queue
                .head_cost()
                .map(|cost| core.earliest(now, &cost).unwrap_or(UNKNOWN));
            // A wait for an answer in flight, or for the service below, may be over at any moment.
            let sure = at.filter(|at| *at != UNKNOWN).unwrap_or(now);
            if self.queue.hand_back(sure.max(now), wakes) {
                continue;
            }
            let overdue = self.queue.first_overdue();
            let Some(at) = at else {
                return overdue; // of those who have set themselves aside
            };
            let overdue = overdue.unwrap_or(UNKNOWN);
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
        for id in self.queue.first(self.offers.width.max(1)) {
            wakes.push(self.queue.take_waker(id));
            self.offers.add(now, id);
        }
    }
}

impl Offers {
    fn has(&self, id: usize) -> bool {
        self.to.contains(&id)
    }

    fn add(&mut self, now: u64, id: usize) {
        if self.to.is_empty() {
            self.until = now.saturating_add(GRACE);
            self.unready = false;
        }
        self.to.push(id);
    }

    /// One has come, or will not.
    fn withdraw(&mut self, id: usize) {
        if let Some(at) = self.to.iter().position(|to| *to == id) {
            self.to.swap_remove(at);
            self.width = 1;
            self.unready &= !self.to.is_empty();
        }
    }

    /// Nobody has taken the slot.
    fn pass_on(&mut self, stalled: impl FnMut(usize)) {
        self.to.drain(..).for_each(stalled);
        // One whose service below is not ready makes no crowd of the stalled.
        self.width = if self.unready {
            1
        } else {
            self.width.max(1).saturating_mul(2)
        };
        self.unready = false;
    }
}
