use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::task::Waker;

use throttle_signal::{Priority, Tenant};

use crate::wakes::Wakes;
use crate::{Cost, num};

/// Who waits, in order: the tenant served least goes first, and of its requests the most urgent,
/// then the one that arrived first.
///
/// A request that is sent again keeps its place by the time it first arrived.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    places: Vec<Option<Waiting>>,
    free: Vec<usize>,
    tenants: Vec<Line>,

    /// Lines that are not empty, by virtual time.
    active: BTreeSet<(u64, usize)>,

    /// Those who cannot wait for ever, by when.
    overdue: BTreeSet<(u64, usize)>,

    /// What all of them ask for together.
    backlog: Cost,

    /// The virtual time last served: newcomers begin here, so that idleness earns nothing.
    served: u64,

    seq: u64,
}

/// The requests of one tenant.
#[derive(Debug)]
struct Line {
    tenant: Option<Tenant>,
    served: u64,
    order: BTreeMap<Order, usize>,
}

/// A place among the requests of a tenant.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Order {
    priority: Reverse<Priority>,
    arrived: u64,
    seq: u64,
}

/// One who waits.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) cost: Cost,
    pub(crate) start_by: Option<u64>,
    pub(crate) waker: Option<Waker>,
    pub(crate) standing: Standing,
    line: usize,
    order: Order,
}

/// How it stands with one who waits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Standing {
    /// In line.
    InLine,

    /// Was offered a slot, and did not come for it in time. Others do not wait for it.
    Stalled,

    /// Cannot be sent in time; how many nanoseconds from now there may be room.
    HandedBack(u64),
}

impl Queue {
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
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
        order: Order,
        cost: Cost,
        start_by: Option<u64>,
    ) -> usize {
        let line = self.line(tenant);
        let waiting = Waiting {
            cost,
            start_by,
            waker: None,
            standing: Standing::InLine,
            line,
            order,
        };
        let id = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        if let Some(place) = self.places.get_mut(id) {
            *place = Some(waiting);
        }
        if let Some(start_by) = start_by {
            self.overdue.insert((start_by, id));
        }
        self.enter(id);
        id
    }

    /// Takes one who waits out of the queue, whatever its standing.
    pub(crate) fn remove(&mut self, id: usize) -> Option<Waiting> {
        self.leave(id);
        let waiting = self.places.get_mut(id)?.take()?;
        self.free.push(id);
        if let Some(start_by) = waiting.start_by {
            self.overdue.remove(&(start_by, id));
        }
        if self.len() == 0 {
            // Nobody is behind anybody any more.
            let seq = self.seq;
            *self = Self {
                seq,
                ..Self::default()
            };
        }
        Some(waiting)
    }

    pub(crate) fn get_mut(&mut self, id: usize) -> Option<&mut Waiting> {
        self.places.get_mut(id)?.as_mut()
    }

    /// Who goes next.
    pub(crate) fn head(&self) -> Option<usize> {
        let (_, line) = self.active.first()?;
        let (_, id) = self.tenants.get(*line)?.order.first_key_value()?;
        Some(*id)
    }

    /// The first `count` in line, or a few less: of whoever's turn it is.
    pub(crate) fn first(&self, count: usize) -> Vec<usize> {
        let lines = self
            .active
            .iter()
            .filter_map(|(_, line)| self.tenants.get(*line));
        lines
            .flat_map(|line| line.order.values().copied())
            .take(count)
            .collect()
    }

    /// The cost of who goes next.
    pub(crate) fn head_cost(&self) -> Option<Cost> {
        let waiting = self.places.get(self.head()?)?.as_ref()?;
        Some(waiting.cost)
    }

    /// Whether a newcomer goes before all who wait.
    pub(crate) fn is_first(&self, order: Order) -> bool {
        let ahead = |id: usize| {
            self.places
                .get(id)?
                .as_ref()
                .map(|waiting| waiting.order > order)
        };
        match self.head() {
            None => true,
            Some(head) => self.active.len() == 1 && ahead(head) == Some(true),
        }
    }

    /// Charges the tenant of `id`, which is being served; `share` is the largest part its cost is
    /// of any limit, divided by its weight.
    pub(crate) fn charge(&mut self, id: usize, share: f64) {
        let Some(line) = self
            .places
            .get(id)
            .and_then(Option::as_ref)
            .map(|waiting| waiting.line)
        else {
            return;
        };
        let Some(tenant) = self.tenants.get_mut(line) else {
            return;
        };
        let before = tenant.served;
        self.served = self.served.max(before);
        tenant.served = before.saturating_add(num::times(1 << 40, share));
        if self.active.remove(&(before, line)) {
            self.active.insert((tenant.served, line));
        }
    }

    /// Sets aside one who did not come; others pass.
    pub(crate) fn stall(&mut self, id: usize) {
        if let Some(waiting) = self.get_mut(id) {
            if waiting.standing == Standing::InLine {
                waiting.standing = Standing::Stalled;
                self.leave(id);
            }
        }
    }

    /// Puts one who had stalled back in its place, or hands it back if its time has passed.
    pub(crate) fn rejoin(&mut self, now: u64, id: usize) {
        let Some(waiting) = self.get_mut(id) else {
            return;
        };
        let late = waiting.start_by.is_some_and(|start_by| start_by < now);
        match waiting.standing {
            Standing::HandedBack(_) => {}
            _ if late => {
                self.leave(id);
                if let Some(waiting) = self.get_mut(id) {
                    waiting.standing = Standing::HandedBack(0);
                }
            }
            Standing::Stalled => {
                waiting.standing = Standing::InLine;
                self.enter(id);
            }
            Standing::InLine => {}
        }
    }

    /// Hands back one whose time is before `at`, the earliest moment anyone can be sent. Returns whether there was one.
    pub(crate) fn hand_back(&mut self, now: u64, at: u64, wakes: &mut Wakes) -> bool {
        let Some((start_by, id)) = self.overdue.first().copied() else {
            return false;
        };
        if start_by >= at {
            return false;
        }
        self.overdue.remove(&(start_by, id));
        self.leave(id);
        if let Some(waiting) = self.get_mut(id) {
            waiting.start_by = None;
            waiting.standing = Standing::HandedBack(at.saturating_sub(now));
            wakes.push(waiting.waker.take());
        }
        true
    }

    /// When the first of those who cannot wait for ever is to be looked at again.
    pub(crate) fn first_overdue(&self) -> Option<u64> {
        self.overdue
            .first()
            .map(|(start_by, _)| start_by.saturating_add(1))
    }

    /// Wakes everyone, for when nobody drives the queue any more.
    pub(crate) fn wake_all(&mut self, wakes: &mut Wakes) {
        for waiting in self.places.iter_mut().flatten() {
            wakes.push(waiting.waker.take());
        }
    }

    fn line(&mut self, tenant: Option<&Tenant>) -> usize {
        if let Some(line) = self
            .tenants
            .iter()
            .position(|line| line.tenant.as_ref() == tenant)
        {
            return line;
        }
        let line = Line {
            tenant: tenant.cloned(),
            served: 0,
            order: BTreeMap::new(),
        };
        self.tenants.push(line);
        self.tenants.len() - 1
    }

    fn enter(&mut self, id: usize) {
        let Some(Some(waiting)) = self.places.get(id) else {
            return;
        };
        let (line, order, cost) = (waiting.line, waiting.order, waiting.cost);
        let Some(tenant) = self.tenants.get_mut(line) else {
            return;
        };
        if tenant.order.is_empty() {
            tenant.served = tenant.served.max(self.served);
            self.active.insert((tenant.served, line));
        }
        tenant.order.insert(order, id);
        self.backlog = self.backlog.plus(cost);
    }

    /// Takes `id` out of line, if it is in one.
    fn leave(&mut self, id: usize) {
        let Some(Some(waiting)) = self.places.get(id) else {
            return;
        };
        let (line, order, cost) = (waiting.line, waiting.order, waiting.cost);
        let Some(tenant) = self.tenants.get_mut(line) else {
            return;
        };
        if tenant.order.remove(&order).is_some() {
            self.backlog = self.backlog.minus(cost);
            if tenant.order.is_empty() {
                self.active.remove(&(tenant.served, line));
            }
        }
    }
}
