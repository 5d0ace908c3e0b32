//! What a member makes of the store's answers.

use super::calls::Kind;
use super::member::{Member, Phase};
use super::number::{nanos, single};
use super::shape;
use super::wire::{Correction, Reply, Status};
use crate::control::Guard;
use crate::core::Core;
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
