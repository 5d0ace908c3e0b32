//! What a member makes of the store's answers.

use super::calls::Kind;
use super::member::{Member, Phase};
use super::number::{cast, nanos, single};
use super::shape;
use super::wire::{Correction, Head, Reply, Status};
use crate::control::Guard;
use crate::core::Core;
use crate::core::part::Used;
use crate::{Cost, Quota};

/// How often a store that holds everybody is asked.
const HELD: u64 = 50_000_000;

/// By how much the store grants the first slot ahead, in nanoseconds.
const GRANTED_AHEAD: u64 = 1_000_000_000;

impl Member {
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
        if let Some(head) = &reply.head {
            self.read(reply.now, head, core);
        }
        match reply.status {
            Status::Fine => {
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

    /// Takes over what all know.
    fn read(&mut self, theirs: f64, head: &Head, core: &mut Core) {
        if head.members > 0.0 {
            self.members = head.members;
            self.store.saw(head.members);
        }
        let ours = |until: f64| {
            if until > theirs {
                self.offset.ours(until)
            } else {
                0
            }
        };
        core.hold(head.frozen.map(ours), ours(head.closed));
        if head.generation == self.known.generation && core.plan().settings.guard == Guard::Learned
        {
            // What was learned since the last call is not told yet.
            let delta = core.guard().saturating_sub(self.guard);
            core.set_guard(nanos(head.guard).saturating_add(delta));
            self.guard = nanos(head.guard);
        }
    }

    fn slots_came(&mut self, now: u64, reply: &Reply, asked: &[Cost]) {
        let generation = self.known.generation;
        let head = reply.head.as_ref();
        if self.phase != Phase::Live || head.is_some_and(|head| head.generation != generation) {
            return;
        }
        self.known.seen = self.known.seen.max(reply.now);
        if let Some(head) = head {
            self.know(head);
        }
        let slots = reply.slots();
        self.granted(now, &slots, asked);
        if let Some(next) = reply.next.or_else(|| slots.last().copied()) {
            self.next = self.offset.ours(next);
        }
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
        let Some(head) = &reply.head else {
            return;
        };
        if let Some((parts, used)) = reply.parts() {
            self.beat = now;
            let ours = |(at, cost): (f64, f64)| (self.offset.ours(at), cast(cost));
            let used = used.into_iter().map(|one| Used {
                all: one.all,
                when: one.when.into_iter().map(ours).collect(),
            });
            self.used = used.collect();
            self.share.heard(now, parts);
        }
        if self.known.generation == head.generation {
            self.known.seen = self.known.seen.max(reply.now);
        } else {
            self.known.seen = reply.now;
            self.known.generation = head.generation;
            for correction in &mut self.outbox.corrections {
                // What it corrects is not there any more.
                correction.less.fill(0.0);
            }
        }
        self.know(head);
        if self.known.epoch == head.epoch {
            self.is_new = false;
        }
        if let Phase::Out { since, .. } = self.phase {
            // What was sent while this call was under way is told by the next.
            core.end_part(now);
            self.drop_slots();
            self.phase = Phase::Quiet { since };
            self.retry_at = now;
        } else if head.hold > 0.0 {
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
        let epoch = reply.head.as_ref().map_or(0.0, |head| head.epoch);
        if reply.rest.is_empty() || epoch <= self.known.epoch {
            return None; // ours is the later one, and is being told
        }
        if self.is_new {
            // Others set theirs before, which was not known here.
            self.outdo(epoch);
            return None;
        }
        let quota = shape::quota(&reply.rest)?;
        self.known.epoch = epoch;
        self.known.version = 0.0;
        self.quota.clone_from(&reply.rest);
        self.outbox.corrections.clear();
        Some(quota)
    }

    /// The store did not answer a call that began then, or not in time.
    pub(crate) fn failed(&mut self, now: u64, began: u64, kind: Kind, core: &mut Core) {
        match kind {
            Kind::Reserve => self.asked = None,
            Kind::Sync => {
                let told = self.syncing.take().unwrap_or_default();
                self.tell_again(told);
                self.outbox.urgent = true;
            }
        }
        self.go_out(now, began, core, true);
    }

    /// Keeps what was told and not heard.
    fn tell_again(&mut self, told: Vec<Correction>) {
        let later = std::mem::replace(&mut self.outbox.corrections, told);
        self.outbox.corrections.extend(later);
    }

    /// Goes on without the store, which granted nothing any more once a call had begun that it did not answer. Slots
    /// are good for as long as they would have been, if anybody asks for the store again when they are used up.
    pub(crate) fn go_out(&mut self, now: u64, began: u64, core: &mut Core, asks_again: bool) {
        self.attempt = now;
        if !self.is_out() {
            let since = match self.phase {
                // Nothing was told of what came before.
                Phase::Joining => 0.0,
                Phase::Quiet { since } => since,
                _ => self.offset.theirs(self.contact),
            };
            self.own = self.part(now);
            // Since it heard of the last slot, the others were granted about one each.
            let last = self
                .slots
                .back()
                .map_or(self.next, |slot| slot.at.max(self.next));
            let others = cast(self.members).saturating_mul(core.time_of(&Cost::REQUEST));
            let begins = last.max(began).saturating_add(others);
            self.begins = begins.min(now.saturating_add(GRANTED_AHEAD)).max(now);
            self.phase = Phase::Out {
                since,
                alone: false,
            };
        }
        if self.own.is_none() || !asks_again {
            self.drop_slots();
        }
        self.drop_late(now, core.plan());
        if let (Phase::Out { alone, .. }, Some(own)) = (&mut self.phase, self.own) {
            if self.slots.is_empty() && !*alone {
                *alone = true;
                core.begin_part(now, self.begins, single(own), &self.used);
            }
        }
    }
}
