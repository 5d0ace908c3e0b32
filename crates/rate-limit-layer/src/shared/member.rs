use std::collections::VecDeque;
use std::sync::Arc;

use super::clock::Offset;
use super::number::{cast, micros, nanos};
use super::outage::Outage;
use super::shape;
use super::share::Share;
use super::store::Inner;
use super::wire::{Correction, Head, Known};
use crate::Cost;
use crate::core::Core;
use crate::core::part::Used;
use crate::plan::Plan;
use crate::queue::Queue;

/// One partition as a member of the fleet: the slots it was granted, what it has yet to tell, and how it
/// stands with the store. Knows no clock; times are nanoseconds on the partition's.
#[derive(Debug)]
pub(crate) struct Member {
    pub(super) store: Arc<Inner>,

    /// Under which number the store knows it.
    pub(super) id: usize,
    pub(super) phase: Phase,
    pub(super) known: Known,
    pub(super) offset: Offset,
    pub(super) share: Share,
    pub(super) members: f64,

    /// How much of each limit was used by all when that was told last, and when.
    pub(super) used: Vec<Used>,

    /// What part of the limits is its own while the store is out of reach, and from when on.
    pub(super) own: Option<f64>,
    pub(super) begins: u64,

    /// Whether it has to do with this partition at all: what nothing limits is not shared.
    pub(super) applies: bool,

    /// When the next slot of all would be, as far as was heard.
    pub(super) next: u64,
    pub(super) slots: VecDeque<Slot>,

    /// What was asked for and is not answered yet.
    pub(super) asked: Option<Vec<Cost>>,
    pub(super) syncing: Option<Vec<Correction>>,
    pub(super) outbox: Outbox,

    /// The quota as it is written, and whether it was set here and the others do not know of it yet.
    pub(super) quota: Vec<u8>,
    pub(super) is_new: bool,

    /// The guard that the others know of, and by how many microseconds they know its clock may be wrong.
    pub(super) guard: u64,
    pub(super) err: f64,

    /// How many microseconds after their time slots come of late.
    pub(super) late: f64,

    /// When the store answered last, when all was told last, when it was tried last, and when it may be
    /// tried again.
    pub(super) contact: u64,
    pub(super) beat: u64,
    pub(super) attempt: u64,
    pub(super) retry_at: u64,
    pub(super) poked: bool,
}

/// How it stands with the store.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Phase {
    /// Has yet to tell what it sent.
    Joining,

    /// Others have yet to tell what they sent.
    Held,

    /// Is granted slots.
    Live,

    /// The store is out of reach, since then on its own clock. Alone, it goes by a part of the limits; before, by the
    /// slots that it was granted, which are as good as ever.
    Out { since: f64, alone: bool },

    /// It is back, and nothing more is sent until it knows of all that was sent since then.
    Quiet { since: f64 },
}

/// The right to send one request from a certain time on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) at: u64,

    /// The same on the clock of the store, by which it is known there.
    pub(super) theirs: u64,
    pub(super) cost: Cost,

    /// The last moment at which it may be used: later, it is worth more to the others.
    until: u64,
}

impl Slot {
    /// A slot that came at `now`, or was there before. The way back from a store that is far away takes longer than a
    /// slot for this moment would last, were it to last from its time.
    pub(super) fn new(at: u64, theirs: u64, cost: Cost, now: u64) -> Self {
        Self {
            at,
            theirs,
            cost,
            until: at.max(now).saturating_add(LATE),
        }
    }

    pub(super) const fn is_late(&self, now: u64) -> bool {
        self.until < now
    }
}

/// What is to be told, but not at once.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pub(super) corrections: Vec<Correction>,

    /// Since when the first of them waits.
    pub(super) since: u64,

    /// A refusal or another quota, which are told at once.
    pub(super) urgent: bool,
}

/// How long after its time, or after it came, a slot may be used. In nanoseconds.
const LATE: u64 = 20_000_000;

/// The most that is asked for at once.
const MOST: usize = 32;

/// How long before its last slot more are asked for, beyond two times what a call takes.
const AHEAD: u64 = 10_000_000;

impl Member {
    pub(crate) fn new(store: Arc<Inner>, id: usize, plan: &Plan) -> Self {
        let quota = shape::written(&plan.quota);
        Self {
            id,
            phase: Phase::Joining,
            known: Known {
                epoch: shape::epoch(0, &quota),
                ..Known::default()
            },
            offset: Offset::default(),
            share: Share::default(),
            members: store.members(),
            used: Vec::new(),
            own: None,
            begins: 0,
            applies: applies(plan),
            next: 0,
            slots: VecDeque::new(),
            asked: None,
            syncing: None,
            outbox: Outbox::default(),
            is_new: false,
            quota,
            guard: plan.settings.guard.start(),
            err: 0.0,
            late: 0.0,
            contact: 0,
            beat: 0,
            attempt: 0,
            retry_at: 0,
            poked: false,
            store,
        }
    }

    pub(crate) fn begin(&mut self, now: u64, core: &mut Core) {
        if self.store.is_down() {
            // Others found the store out of reach; nobody needs to find it again.
            self.go_out(now, now, core, false);
        }
    }

    /// Whether the store says when to send, and not the log of this instance.
    pub(crate) fn paces(&self) -> bool {
        self.applies && !matches!(self.phase, Phase::Out { alone: true, .. })
    }

    pub(crate) const fn is_out(&self) -> bool {
        matches!(self.phase, Phase::Out { .. })
    }

    /// Whether the store grants `cost` now, where it says when to send; `None` if that is later.
    #[cold]
    #[inline(never)]
    pub(crate) fn grants(&self, now: u64, cost: &Cost) -> Option<bool> {
        if !self.paces() {
            return Some(false);
        }
        self.earliest(now, cost)
            .filter(|at| *at <= now)
            .map(|_| true)
    }

    /// The earliest time from `now` at which `cost` may be sent, or `None` while that is not known.
    pub(crate) fn earliest(&self, now: u64, cost: &Cost) -> Option<u64> {
        let mut good = self.slots.iter().filter(|slot| !slot.is_late(now));
        let slot = good.next().filter(|slot| covers(&slot.cost, cost))?;
        Some(slot.at)
    }

    /// When the next slot of all would be, as far as is known.
    pub(crate) fn frontier(&self, now: u64) -> u64 {
        let last = self.slots.back().map_or(0, |slot| slot.at);
        self.next.max(last).max(now)
    }

    /// Takes the first slot for `cost`. Returns when it was granted on the store's clock; 0 for none.
    pub(crate) fn take(&mut self, now: u64, cost: Cost, plan: &Plan) -> u64 {
        self.drop_late(now, plan);
        self.share.took(plan.time(&cost));
        let Some(slot) = self.slots.pop_front() else {
            return 0;
        };
        if slot.cost != cost {
            self.correct(now, slot.theirs, slot.cost, cost, plan);
        }
        slot.theirs
    }

    /// A refusal is to be known to all at once.
    pub(crate) fn refused(&mut self) {
        self.outbox.urgent = true;
    }

    /// The quota was changed here: it is the latest.
    pub(crate) fn set_quota(&mut self, plan: &Plan) {
        self.applies = applies(plan);
        let quota = shape::written(&plan.quota);
        if quota == self.quota {
            return;
        }
        self.is_new = true;
        self.quota = quota;
        self.outdo(self.known.epoch);
        // What was granted and settled by the old one's limits cannot be told by the new one's.
        self.outbox.corrections.clear();
        self.outbox.urgent = true;
        self.slots.clear();
    }

    /// Gives the quota that was set here a later epoch than this one.
    pub(super) fn outdo(&mut self, epoch: f64) {
        let version = shape::version(epoch).saturating_add(1);
        self.known.epoch = shape::epoch(version, &self.quota);
        self.known.version = 0.0;
        self.used.clear();
    }

    /// Takes note of what a state begins with, if it is the one that is known, with the quota that is known.
    pub(super) fn know(&mut self, head: &Head) {
        if head.generation == self.known.generation && head.epoch == self.known.epoch {
            self.known.version = head.version;
        }
    }

    /// Gives up slots that are too late, and has the store called if there is
    /// something new to call for.
    pub(crate) fn mind(&mut self, now: u64, core: &Core, queue: Option<&Queue>) {
        let plan = core.plan();
        self.drop_late(now, plan);
        if let (Some(slot), Some(head)) = (self.slots.front(), queue.and_then(Queue::head_cost)) {
            if !covers(&slot.cost, &head) {
                // Someone went ahead who asks for more.
                if let Some(slot) = self.slots.pop_front() {
                    self.put_back(now, slot, plan);
                }
            }
        }
        if !self.poked && self.due(now, core, queue).is_some_and(|due| due <= now) {
            self.poked = true;
            self.store.poke(self.id);
        }
    }

    /// The costs of those who wait and have no slot, as many as are to be asked for now.
    pub(super) fn wanted(&self, now: u64, queue: Option<&Queue>) -> Vec<Cost> {
        let Some(queue) = queue.filter(|_| self.wants_at(now, queue).is_some_and(|at| at <= now))
        else {
            return Vec::new();
        };
        let held = self.slots.len();
        let first = queue.first(held + MOST);
        let behind = first.iter().skip(held);
        behind.filter_map(|id| queue.cost(*id)).collect()
    }

    /// When more slots are to be asked for, if that is not now.
    pub(super) fn wants_at(&self, now: u64, queue: Option<&Queue>) -> Option<u64> {
        let (queue, held) = (queue?, self.slots.len());
        if self.phase != Phase::Live || self.asked.is_some() || queue.len() <= held {
            return None;
        }
        let last = self.slots.back().map_or(0, |slot| slot.at);
        Some(
            last.saturating_sub(self.lookahead(now))
                .max(self.retry_at)
                .max(now),
        )
    }

    /// When the first slot will be too late. Those that nobody waits for now are kept until then: someone may
    /// come, and for the others the time they stand for would be lost all the same.
    pub(super) fn late_at(&self) -> Option<u64> {
        let first = self.slots.front()?;
        Some(first.until.saturating_add(1))
    }

    pub(super) fn granted(&mut self, now: u64, slots: &[f64], costs: &[Cost]) {
        for (theirs, cost) in slots.iter().zip(costs) {
            let at = self.offset.ours(*theirs);
            self.late = self.late.max(micros(now.saturating_sub(at)));
            let slot = Slot::new(at, cast(*theirs), *cost, now);
            self.slots.push_back(slot);
        }
    }

    /// By how many microseconds this instance may send too late, or too early, by the store's clock: what may be wrong
    /// with its own, or what slots come too late by, when calls take longer than those that told the clock.
    pub(super) fn may_be_off(&self, now: u64) -> f64 {
        self.offset.err(now).max(self.late)
    }

    /// Forgets the slots it has, because they may not be good any more.
    pub(super) fn drop_slots(&mut self) {
        self.slots.clear();
    }

    /// What part of the limits is its own from now on, should the store be out of reach.
    pub(super) fn part(&self, now: u64) -> Option<f64> {
        match self.store.outage() {
            Outage::LastShare => self.share.of(now, self.members),
            Outage::Share(of) => Some(1.0 / f64::from(of.get())),
            Outage::Closed => None,
            Outage::Open => Some(1.0),
        }
    }

    /// What part of the slots it gets of late.
    pub(crate) fn usual_part(&self, now: u64) -> f64 {
        let usual = self.share.usual(now, self.members);
        usual.unwrap_or(1.0).max(0.01)
    }

    /// Whether nothing is granted, or to be told, or in flight, and the quota is the one that the instance was built with.
    /// One that was set later is known nowhere else once the store has forgotten the partition.
    pub(crate) fn is_idle(&self) -> bool {
        self.slots.is_empty()
            && self.outbox.corrections.is_empty()
            && self.asked.is_none()
            && self.syncing.is_none()
            && shape::version(self.known.epoch) == 0
    }

    fn lookahead(&self, now: u64) -> u64 {
        // An error in the clock is half of what a call takes.
        AHEAD.saturating_add(nanos(4.0 * self.may_be_off(now)))
    }

    pub(super) fn drop_late(&mut self, now: u64, plan: &Plan) {
        while let Some(slot) = self.slots.front().copied().filter(|slot| slot.is_late(now)) {
            self.slots.pop_front();
            self.put_back(now, slot, plan);
        }
    }
}

/// Whether a partition with this plan is shared.
fn applies(plan: &Plan) -> bool {
    !plan.limits().is_empty() && !plan.settings.observe_only
}

/// Whether a slot that was granted for one cost does for another.
fn covers(granted: &Cost, cost: &Cost) -> bool {
    granted.requests >= cost.requests
        && granted.input >= cost.input
        && granted.output >= cost.output
}
