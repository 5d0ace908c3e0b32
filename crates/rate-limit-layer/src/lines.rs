use std::collections::{BTreeSet, HashMap};

use throttle_signal::Tenant;

use crate::num;
use crate::row::{Order, Row};

/// The lines that tenants wait in, one each. The tenant served least is next.
///
/// What a tenant was served is counted in virtual time: the largest share its requests were of any
/// limit, divided by its weight. Who comes back after a while begins where the others are, so that
/// staying away earns nothing.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    all: Vec<Line>,
    free: Vec<usize>,
    names: HashMap<Option<Tenant>, usize>,

    /// Lines that are not empty, by virtual time.
    active: BTreeSet<(u64, usize)>,

    /// The virtual time last served.
    served: u64,
}

#[derive(Debug, Default)]
struct Line {
    tenant: Option<Tenant>,
    served: u64,
    row: Row,

    /// How many belong to it, in line or set aside.
    members: usize,
}

impl Lines {
    /// Makes one more a member of its tenant's line, whose number is returned.
    pub(crate) fn join(&mut self, tenant: Option<&Tenant>) -> usize {
        let name = tenant.cloned();
        let at = if let Some(at) = self.names.get(&name) {
            *at
        } else {
            if self.all.len() > 2 * self.active.len() + 64 {
                self.tidy();
            }
            let at = self.free.pop().unwrap_or_else(|| {
                self.all.push(Line::default());
                self.all.len() - 1
            });
            self.names.insert(name.clone(), at);
            at
        };
        if let Some(line) = self.all.get_mut(at) {
            line.tenant = name;
            line.members += 1;
        }
        at
    }

    /// One of a line's members is gone for good.
    pub(crate) fn part(&mut self, at: usize) {
        if let Some(line) = self.all.get_mut(at) {
            line.members = line.members.saturating_sub(1);
        }
    }

    pub(crate) fn enter(&mut self, at: usize, order: Order, id: usize) {
        let Some(line) = self.all.get_mut(at) else {
            return;
        };
        if line.row.is_empty() {
            line.served = line.served.max(self.served);
            self.active.insert((line.served, at));
        }
        line.row.insert(order, id);
    }

    /// Takes one out of line; `false` if it was not in it.
    pub(crate) fn leave(&mut self, at: usize, order: &Order) -> bool {
        let Some(line) = self.all.get_mut(at) else {
            return false;
        };
        let was = line.row.remove(order);
        if was && line.row.is_empty() {
            self.active.remove(&(line.served, at));
        }
        was
    }

    /// Who goes next, and its place.
    pub(crate) fn head(&self) -> Option<(&Order, usize)> {
        let (_, at) = self.active.first()?;
        self.all.get(*at)?.row.first()
    }

    /// The first `count`, line after line.
    pub(crate) fn first(&self, count: usize) -> Vec<usize> {
        let lines = self.active.iter().filter_map(|(_, at)| self.all.get(*at));
        lines.flat_map(|line| line.row.iter()).take(count).collect()
    }

    /// Whether all who wait are of one tenant.
    pub(crate) fn is_one(&self) -> bool {
        self.active.len() == 1
    }

    pub(crate) fn tenant(&self, at: usize) -> Option<&Tenant> {
        self.all.get(at)?.tenant.as_ref()
    }

    /// Charges a line that is being served with so much virtual time.
    pub(crate) fn charge(&mut self, at: usize, share: f64) {
        let Some(line) = self.all.get_mut(at) else {
            return;
        };
        let before = line.served;
        self.served = self.served.max(before);
        line.served = before.saturating_add(num::times(1 << 40, share));
        if self.active.remove(&(before, at)) {
            self.active.insert((line.served, at));
        }
    }

    /// Forgets lines that nobody belongs to and that would begin anew anyway.
    fn tidy(&mut self) {
        for (at, line) in self.all.iter_mut().enumerate() {
            if line.members == 0
                && line.served <= self.served
                && self.names.remove(&line.tenant).is_some()
            {
                *line = Line::default();
                self.free.push(at);
            }
        }
    }
}
