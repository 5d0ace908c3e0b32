//! When a member calls the store, and what it makes of the answers.

use super::member::{Member, Outbox, Phase};
use super::number::{count, micros, nanos, single};
use super::shape::{self, MOST, Shape};
use super::wire::{self, Call, Correction, Learned, News, Reply, Script, Status, Tells, Wanted};
use crate::control::Guard;
use crate::core::Core;
use crate::queue::Queue;
use crate::{Cost, Quota};

/// What kind of call is in flight.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Reserve,
    Sync,
}

/// How often a store that is out of reach is tried, and one that holds everybody.
const PROBE: u64 = 100_000_000;
const HELD: u64 = 50_000_000;

/// How long a correction waits for others to go with it, and how many do not.
const GATHER: u64 = 50_000_000;
const GATHERED: usize = 256;

/// How often one who sent something lately looks whether the state is still there.
const LOOK: u64 = 1_000_000_000;

/// How often it shows that it is still there itself.
const BEAT: u64 = 10_000_000_000;

/// By how much the store grants the first slot ahead, in nanoseconds.
const GRANTED_AHEAD: u64 = 1_000_000_000;

impl Member {
    /// When the next call is to be made, if there is anything to call for.
    pub(crate) fn due(&self, now: u64, core: &Core, queue: Option<&Queue>) -> Option<u64> {
        if !self.applies {
            return None;
        }
        let sync = self
            .sync_due(now, core, queue)
            .filter(|_| self.syncing.is_none());
        let look = (self.phase == Phase::Live && self.asked.is_none() && core.sent_lately(now))
            .then(|| self.contact.saturating_add(LOOK));
        let wants = self.wants_at(now, queue);
        [sync, look, wants, self.late_at()]
            .into_iter()
            .flatten()
            .min()
    }

    fn sync_due(&self, now: u64, core: &Core, queue: Option<&Queue>) -> Option<u64> {
        let waiting = queue.is_some_and(|queue| queue.len() > 0);
        let active = waiting || self.is_new || core.sent_lately(now);
        match self.phase {
            Phase::Out { .. } => active.then(|| self.attempt.saturating_add(PROBE)),
            Phase::Joining | Phase::Held | Phase::Quiet { .. } => active.then_some(self.retry_at),
            Phase::Live if self.outbox.urgent => Some(now),
            Phase::Live => {
                let beat = active.then(|| self.beat.saturating_add(BEAT));
                let waits = match self.outbox.corrections.len() {
                    0 => None,
                    len if len >= GATHERED => Some(now),
                    _ => Some(self.outbox.since.saturating_add(GATHER)),
                };
                [beat, waits].into_iter().flatten().min()
            }
        }
    }

    /// The call that is to be made now, if one is.
    pub(crate) fn next_call(
        &mut self,
        now: u64,
        core: &mut Core,
        queue: Option<&Queue>,
    ) -> Option<(Kind, Call)> {
        self.poked = false;
        self.drop_late(now, core.plan());
        if !self.applies {
            return None;
        }
        let sync = self
            .sync_due(now, core, queue)
            .is_some_and(|due| due <= now);
        if sync && self.syncing.is_none() {
            self.attempt = now;
            if !self.offset.is_known() && core.sent_lately(now) {
                // What was sent can be told only by the store's clock.
                return self.asked.is_none().then(|| self.reserve(now, core, &[]));
            }
            return Some(self.sync(now, core));
        }
        let costs = self.wanted(now, queue);
        let look = self.phase == Phase::Live
            && self.asked.is_none()
            && core.sent_lately(now)
            && self.contact.saturating_add(LOOK) <= now;
        (look || !costs.is_empty()).then(|| self.reserve(now, core, &costs))
    }

    fn reserve(&mut self, now: u64, core: &mut Core, costs: &[Cost]) -> (Kind, Call) {
        self.asked = Some(costs.to_vec());
        let shapes = shapes(now, core);
        let wanted: Vec<_> = costs
            .iter()
            .map(|cost| Wanted {
                tokens: cost.input > 0 || cost.output > 0,
                costs: per_limit(*cost, core),
            })
            .collect();
        let learned = self.learned(now, core);
        let call = Call {
            script: Script::Reserve(shapes.len()),
            numbers: wire::reserve(self.known, learned, &shapes, &wanted),
            member: Vec::new(),
            quota: Vec::new(),
        };
        (Kind::Reserve, call)
    }

    fn sync(&mut self, now: u64, core: &mut Core) -> (Kind, Call) {
        let shapes = shapes(now, core);
        let theirs = |at: u64| {
            if at > now {
                self.offset.theirs(at)
            } else {
                0.0
            }
        };
        let (frozen, closed) = (core.frozen(), core.closed_until());
        let (tells, since) = match self.phase {
            Phase::Live | Phase::Held => (Tells::Nothing, 0.0),
            Phase::Joining => (Tells::All, 0.0),
            Phase::Out { since } => (Tells::SoFar, since),
            Phase::Quiet { since } => (Tells::All, since),
        };
        let seeds = if tells == Tells::Nothing {
            Vec::new()
        } else {
            self.sent(now, core)
        };
        let Outbox { corrections, .. } = std::mem::take(&mut self.outbox);
        let longest = core.plan().longest();
        let news = News {
            guard: micros(core.guard()).floor(),
            frozen: frozen.map(theirs),
            closed: theirs(closed),
            since,
            tells,
            written: if self.offset.is_known() {
                self.offset.theirs(now)
            } else {
                0.0
            },
            expected: self.members.max(1.0),
            beat: true,
            // Twice the longest window, but never so short that a pause looks like a wipe.
            ttl: (micros(longest) / 500.0).ceil().max(LEAST_TTL),
            corrections,
            seeds,
        };
        let learned = self.learned(now, core);
        let call = Call {
            script: Script::Sync,
            numbers: wire::sync(self.known, learned, &shapes, &news),
            member: self.store.member(self.id),
            quota: self.quota.clone(),
        };
        self.syncing = Some(news.corrections);
        (Kind::Sync, call)
    }

    /// What was learned since the last call, which tells the others.
    fn learned(&mut self, now: u64, core: &Core) -> Learned {
        let guard = core.guard();
        let delta = match core.plan().settings.guard {
            Guard::Fixed(_) => 0.0,
            Guard::Learned => micros(guard) - micros(self.guard),
        };
        self.guard = guard;
        let longest = core.plan().shortest() / 4;
        let most_guard = match core.plan().settings.guard {
            Guard::Fixed(_) => micros(guard),
            Guard::Learned => micros(longest.min(1_000_000_000)),
        };
        Learned {
            delta: delta.round(),
            most_guard: most_guard.floor(),
            err: self.offset.err(now),
        }
    }

    /// What was sent within the windows, by limit and on the clock of the store.
    fn sent(&self, now: u64, core: &mut Core) -> Vec<Vec<(f64, f64)>> {
        let theirs = |(at, cost): (u64, u64)| (self.offset.theirs(at), count(cost).min(MOST));
        let sent = core.sent(now).into_iter();
        sent.map(|log| log.into_iter().map(theirs).collect())
            .collect()
    }

    /// The store answered a call that began then. Returns the quota, if it is another one.
    pub(crate) fn answered(
        &mut self,
        now: u64,
        began: u64,
        kind: Kind,
        reply: &Reply,
        core: &mut Core,
    ) -> Option<Quota> {
        let asked = match kind {
            Kind::Reserve => self.asked.take().unwrap_or_default(),
            Kind::Sync => {
                let told = self.syncing.take();
                if reply.status == Status::Stale {
                    self.tell_again(told.unwrap_or_default());
                }
                Vec::new()
            }
        };
        self.offset.learn(began, now, reply.now);
        self.contact = now;
        if reply.members > 0.0 {
            self.members = reply.members;
            self.store.saw(reply.members);
        }
        let ours = |theirs: f64| {
            if theirs > reply.now {
                self.offset.ours(theirs)
            } else {
                0
            }
        };
        core.hold(reply.frozen.map(ours), ours(reply.closed));
        match reply.status {
            Status::Fine => {
                let delta = core.guard().saturating_sub(self.guard);
                if core.plan().settings.guard == Guard::Learned {
                    core.set_guard(nanos(reply.guard).saturating_add(delta));
                    self.guard = nanos(reply.guard);
                }
                self.known.calls = self.known.calls.max(reply.calls);
                match kind {
                    Kind::Reserve => self.slots_came(now, reply, &asked),
                    Kind::Sync => self.synced(now, reply, core),
                }
                None
            }
            Status::Stale => {
                if !matches!(self.phase, Phase::Out { .. }) {
                    self.phase = Phase::Joining;
                }
                self.attempt = 0;
                self.retry_at = now;
                self.drop_slots();
                None
            }
            Status::Held => {
                if self.phase == Phase::Live {
                    self.phase = Phase::Held;
                }
                self.retry_at = now.saturating_add(HELD);
                self.drop_slots();
                None
            }
            Status::OtherQuota => {
                self.outbox.urgent = true;
                self.drop_slots();
                self.other_quota(reply)
            }
        }
    }

    fn slots_came(&mut self, now: u64, reply: &Reply, asked: &[Cost]) {
        if self.phase != Phase::Live || reply.generation != self.known.generation {
            return;
        }
        let slots = reply.slots();
        self.granted(&slots, asked);
        self.next = self.offset.ours(reply.next);
        self.share.learn(now, slots.len(), reply.granted);
        self.store.count(|stats| {
            stats.grants += slots.len() as u64;
            if slots.is_empty() && !asked.is_empty() {
                stats.refused_calls += 1;
            }
        });
        if slots.is_empty() && !asked.is_empty() {
            let next = self.next.saturating_sub(GRANTED_AHEAD);
            self.retry_at = next.max(now.saturating_add(1_000_000));
        }
    }

    fn synced(&mut self, now: u64, reply: &Reply, core: &mut Core) {
        self.beat = now;
        if self.known.generation != reply.generation {
            self.known.generation = reply.generation;
            for correction in &mut self.outbox.corrections {
                // What it corrects is not there any more.
                correction.less.fill(0.0);
            }
        }
        self.known.calls = reply.calls;
        if self.known.epoch == reply.epoch {
            self.is_new = false;
        }
        if let Phase::Out { since } = self.phase {
            // What was sent while this call was under way is told by the next.
            core.set_part(now, None);
            self.phase = Phase::Quiet { since };
            self.retry_at = now;
        } else if reply.hold > 0.0 {
            self.phase = Phase::Held;
            self.retry_at = now.saturating_add(HELD);
        } else {
            if self.phase != Phase::Live {
                self.retry_at = now;
            }
            self.phase = Phase::Live;
        }
    }

    /// Takes over the quota the store has, which is later than ours.
    fn other_quota(&mut self, reply: &Reply) -> Option<Quota> {
        if reply.rest.is_empty() || reply.epoch <= self.known.epoch {
            return None; // ours is the later one, and is being told
        }
        if self.is_new {
            // Others set theirs before, which was not known here.
            self.outdo(reply.epoch);
            return None;
        }
        let quota = shape::quota(&reply.rest)?;
        self.known.epoch = reply.epoch;
        self.quota.clone_from(&reply.rest);
        self.outbox.corrections.clear();
        Some(quota)
    }

    /// The store did not answer, or not in time.
    pub(crate) fn failed(&mut self, now: u64, kind: Kind, core: &mut Core) {
        match kind {
            Kind::Reserve => self.asked = None,
            Kind::Sync => {
                let told = self.syncing.take().unwrap_or_default();
                self.tell_again(told);
                self.outbox.urgent = true;
            }
        }
        self.go_out(now, core);
    }

    /// Keeps what was told and not heard.
    fn tell_again(&mut self, told: Vec<Correction>) {
        let later = std::mem::replace(&mut self.outbox.corrections, told);
        self.outbox.corrections.extend(later);
    }

    /// Goes on without the store.
    pub(crate) fn go_out(&mut self, now: u64, core: &mut Core) {
        self.attempt = now;
        self.drop_slots();
        if !matches!(self.phase, Phase::Out { .. }) {
            let since = match self.phase {
                // Nothing was told of what came before.
                Phase::Joining => 0.0,
                Phase::Quiet { since } => since,
                _ => self.offset.theirs(self.contact),
            };
            self.phase = Phase::Out { since };
        }
        core.set_part(now, self.part().map(single));
    }
}

/// The least time a state is kept, in milliseconds.
const LEAST_TTL: f64 = 60_000.0;

/// The limits as they stand with what this instance has learned.
fn shapes(now: u64, core: &mut Core) -> Vec<Shape> {
    let scale = f64::from(core.scale()) / core.slowdown(now);
    shape::shapes(&core.plan().quota, scale)
}

/// What a request takes of each limit.
fn per_limit(cost: Cost, core: &Core) -> Vec<f64> {
    let limits = core.plan().limits().iter();
    limits
        .map(|limit| count(cost.of(limit.unit())).min(MOST))
        .collect()
}
