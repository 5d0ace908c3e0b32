use std::task::Waker;

use throttle_signal::Fingerprint;

use crate::called::Called;
use crate::core::{Core, Reservation};
use crate::lines::Order;
use crate::queue::{Queue, Standing};
use crate::state::Asking;
use crate::wakes::Wakes;

/// Those who wait at a partition, and whose turn it is. Knows no clock.
///
/// A slot that opens is offered to the head of the queue, by waking it. It is taken when that one
/// is polled, so what is sent is stamped when it is sent. Who does not come within [`GRACE`] has
/// stalled: the slot is offered on, each time to twice as many, and the stalled one has its place
/// back as soon as it is polled.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    queue: Queue,
    called: Called,
    offers: Offers,
    driver: Driving,
}

#[derive(Debug, Default)]
struct Offers {
    /// Those who were woken for a slot and not polled since.
    to: Vec<usize>,
    until: u64,
    width: usize,
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
pub(crate) enum Claim {
    /// It has what it asked for, and is now one of the [`Called`] under this number.
    Taken(Reservation, usize),
    Pending {
        drive: bool,
    },
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
pub(crate) const GRACE: u64 = 2_000_000;

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
        self.queue.len() == 0 && self.called.is_empty() && matches!(self.driver, Driving::Nobody)
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

    /// One who waits was polled.
    pub(crate) fn claim(
        &mut self,
        core: &mut Core,
        now: u64,
        id: usize,
        by: &Waker,
        wakes: &mut Wakes,
    ) -> Claim {
        let offered = self.offers.withdraw(id);
        self.queue.rejoin(now, id);
        let Some(waiting) = self.queue.get_mut(id) else {
            return Claim::HandedBack(HandedBack::default());
        };
        let cost = waiting.cost;
        if waiting.standing == Standing::HandedBack {
            self.queue.remove(id);
            let at = core.forecast(now, self.queue.backlog(), &cost);
            return Claim::HandedBack(HandedBack {
                wait: at.map_or(0, |at| at.saturating_sub(now)),
                closed: core.closed_until() > now,
            });
        }
        let is_next = offered || self.queue.head() == Some(id);
        if let Some(reservation) = is_next.then(|| core.admit(now, &cost)).flatten() {
            let key = self.queue.get_mut(id).and_then(|it| it.key.take());
            let weight = core.plan().settings.weight(self.queue.tenant(id));
            self.queue.charge(id, core.share(&cost) / weight);
            self.queue.remove(id);
            self.changed(core, now, wakes);
            return Claim::Taken(reservation, self.called.enter(key));
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
            self.changed(core, now, wakes);
        }
        Claim::Pending { drive }
    }

    /// One who waits is gone.
    pub(crate) fn cancel(&mut self, core: &mut Core, now: u64, id: usize, wakes: &mut Wakes) {
        self.offers.withdraw(id);
        self.queue.remove(id);
        self.changed(core, now, wakes);
    }

    /// Those whose turn has come.
    pub(crate) const fn called(&mut self) -> &mut Called {
        &mut self.called
    }

    /// Hands back those who wait with this key, or all, and those whose turn has come as well.
    pub(crate) fn recall(&mut self, key: Option<&Fingerprint>, wakes: &mut Wakes) {
        self.queue.recall(key, wakes);
        self.called.recall(key, wakes);
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
                for id in self.offers.to.drain(..) {
                    self.queue.stall(id);
                }
                self.offers.width = self.offers.width.max(1).saturating_mul(2);
            }
            let cost = self.queue.head_cost()?;
            let at = core.earliest(now, &cost).unwrap_or(UNKNOWN);
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
