use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::task::Waker;

use throttle_signal::{Fingerprint, Priority, Tenant};

use crate::Cost;
use crate::lines::Lines;
use crate::row::Order;
use crate::slab::Slab;
use crate::wakes::Wakes;

/// Who waits, in order: the tenant served least goes first, and of its requests the most urgent,
/// then the one that arrived first.
///
/// A request that is sent again keeps its place by the time it first arrived.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    places: Slab<Waiting>,
    lines: Lines,

    /// Those who cannot wait for ever, by when.
    overdue: BTreeSet<(u64, usize)>,

    /// What all of them ask for together.
    backlog: Cost,

    seq: u64,
}

/// One who waits.
#[derive(Debug)]
struct Waiting {
    cost: Cost,
    waker: Option<Waker>,
    standing: Standing,
    key: Option<Fingerprint>,

    /// The latest moment to be sent, or [`NEVER`].
    start_by: u64,

    line: usize,

    // Its order; apart, so that the standing lies beside the priority.
    priority: Reverse<Priority>,
    arrived: u64,
    seq: u64,
}

/// The time of those who can wait for ever. Not an option, which is twice as wide: of many who wait, reading
/// what is noted of one is much of what it costs to wake it.
const NEVER: u64 = u64::MAX;

/// How it stands with one who waits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Standing {
    /// In line.
    InLine,

    /// Was offered a slot, and did not take it in time. Others do not wait for it.
    Stalled,

    /// Cannot be sent in time, or is not to be sent any more.
    HandedBack,
}

impl Queue {
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) const fn backlog(&self) -> &Cost {
        &self.backlog
    }

    /// The place of the next request of this priority that arrived then.
    pub(crate) fn order(&mut self, priority: Priority, arrived: u64) -> Order {
        self.seq += 1;
        Order {
            priority: Reverse(priority),
            arrived,
            seq: self.seq,
        }
    }

    pub(crate) fn push(
        &mut self,
        tenant: Option<&Tenant>,
        key: Option<&Fingerprint>,
        order: Order,
        cost: Cost,
        start_by: Option<u64>,
    ) -> usize {
        let line = self.lines.join(tenant);
        let start_by = start_by.unwrap_or(NEVER);
        let waiting = Waiting {
            cost,
            waker: None,
            standing: Standing::InLine,
            key: key.cloned(),
            start_by,
            line,
            priority: order.priority,
            arrived: order.arrived,
            seq: order.seq,
        };
        let id = self.places.insert(waiting);
        if start_by != NEVER {
            self.overdue.insert((start_by, id));
        }
        self.enter(id);
        id
    }

    /// Takes one who waits out of the queue, whatever its standing.
    pub(crate) fn remove(&mut self, id: usize) {
        self.leave(id);
        let Some(waiting) = self.places.remove(id) else {
            return;
        };
        self.lines.part(waiting.line);
        if waiting.start_by != NEVER {
            self.overdue.remove(&(waiting.start_by, id));
        }
        if self.len() == 0 {
            // Nobody is behind anybody any more.
            *self = Self {
                seq: self.seq,
                ..Self::default()
            };
        }
    }

    /// What one asks for who has not been handed back.
    pub(crate) fn asked(&self, id: usize) -> Option<Cost> {
        let waiting = self.places.get(id)?;
        (waiting.standing != Standing::HandedBack).then_some(waiting.cost)
    }

    /// Has `by` be woken for one who waits.
    pub(crate) fn set_waker(&mut self, id: usize, by: &Waker) {
        if let Some(waiting) = self.places.get_mut(id) {
            match &mut waiting.waker {
                Some(set) => set.clone_from(by),
                none => *none = Some(by.clone()),
            }
        }
    }

    /// Whom to wake for one who waits, unless that has been done.
    pub(crate) fn take_waker(&mut self, id: usize) -> Option<Waker> {
        self.places.get_mut(id)?.waker.take()
    }

    /// Who goes next.
    pub(crate) fn head(&self) -> Option<usize> {
        self.lines.head().map(|(_, id)| id)
    }

    /// The first `count` in line, or a few less: of whoever's turn it is.
    pub(crate) fn first(&self, count: usize) -> Vec<usize> {
        self.lines.first(count)
    }

    /// The cost of who goes next.
    pub(crate) fn head_cost(&self) -> Option<Cost> {
        let waiting = self.places.get(self.head()?)?;
        Some(waiting.cost)
    }

    /// The cost of one who waits.
    pub(crate) fn cost(&self, id: usize) -> Option<Cost> {
        Some(self.places.get(id)?.cost)
    }

    /// Whether a newcomer goes before all who wait.
    pub(crate) fn is_first(&self, order: Order) -> bool {
        match self.lines.head() {
            None => true,
            Some((head, _)) => self.lines.is_one() && order < *head,
        }
    }

    /// Whose request it is.
    pub(crate) fn tenant(&self, id: usize) -> Option<&Tenant> {
        self.lines.tenant(self.places.get(id)?.line)
    }

    /// Charges the tenant of `id`, which is being served, with so much virtual time.
    pub(crate) fn charge(&mut self, id: usize, share: f64) {
        if let Some(waiting) = self.places.get(id) {
            self.lines.charge(waiting.line, share);
        }
    }

    /// Sets aside one who did not come; others pass.
    pub(crate) fn stall(&mut self, id: usize) {
        if let Some(waiting) = self.places.get_mut(id) {
            if waiting.standing == Standing::InLine {
                waiting.standing = Standing::Stalled;
                self.leave(id);
            }
        }
    }

    /// Puts one who had stalled back in its place, or hands it back if its time has passed.
    pub(crate) fn rejoin(&mut self, now: u64, id: usize) {
        let Some(waiting) = self.places.get_mut(id) else {
            return;
        };
        if waiting.start_by < now {
            waiting.standing = Standing::HandedBack;
            self.leave(id);
        } else if waiting.standing == Standing::Stalled {
            waiting.standing = Standing::InLine;
            self.enter(id);
        }
    }

    /// Hands back one whose time is before `at`, the earliest moment anyone can be sent. Returns
    /// whether there was one.
    pub(crate) fn hand_back(&mut self, at: u64, wakes: &mut Wakes) -> bool {
        let first = self.overdue.first().copied();
        let Some((_, id)) = first.filter(|(start_by, _)| *start_by < at) else {
            return false;
        };
        self.give_back(id, wakes);
        true
    }

    /// Hands back all who wait with this key, or all, and tells `each` of them.
    pub(crate) fn recall(
        &mut self,
        key: Option<&Fingerprint>,
        wakes: &mut Wakes,
        mut each: impl FnMut(usize),
    ) {
        for id in self.places.ids() {
            let waiting = self.places.get(id);
            if waiting.is_some_and(|waiting| key.is_none() || waiting.key.as_ref() == key) {
                self.give_back(id, wakes);
                each(id);
            }
        }
    }

    fn give_back(&mut self, id: usize, wakes: &mut Wakes) {
        self.leave(id);
        let Some(waiting) = self.places.get_mut(id) else {
            return;
        };
        waiting.standing = Standing::HandedBack;
        wakes.push(waiting.waker.take());
        let start_by = std::mem::replace(&mut waiting.start_by, NEVER);
        if start_by != NEVER {
            self.overdue.remove(&(start_by, id));
        }
    }

    /// When the first of those who cannot wait for ever is to be looked at again.
    pub(crate) fn first_overdue(&self) -> Option<u64> {
        let (start_by, _) = self.overdue.first()?;
        Some(start_by.saturating_add(1))
    }

    /// Wakes everyone, for when nobody drives the queue any more.
    pub(crate) fn wake_all(&mut self, wakes: &mut Wakes) {
        for waiting in self.places.iter_mut() {
            wakes.push(waiting.waker.take());
        }
    }

    fn enter(&mut self, id: usize) {
        if let Some(waiting) = self.places.get(id) {
            self.lines.enter(waiting.line, waiting.order(), id);
            self.backlog = self.backlog.plus(waiting.cost);
        }
    }

    /// Takes `id` out of line, if it is in one.
    fn leave(&mut self, id: usize) {
        if let Some(waiting) = self.places.get(id) {
            if self.lines.leave(waiting.line, &waiting.order()) {
                self.backlog = self.backlog.minus(waiting.cost);
            }
        }
    }
}

impl Waiting {
    const fn order(&self) -> Order {
        Order {
            priority: self.priority,
            arrived: self.arrived,
            seq: self.seq,
        }
    }
}
