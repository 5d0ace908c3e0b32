//! When a member calls the store, and what it says.

use super::member::{Member, Outbox, Phase};
use super::number::{count, micros};
use super::shape::{self, MOST, Shape};
use super::wire::{self, Call, Learned, News, Script, Tells, Wanted};
use crate::Cost;
use crate::control::Guard;
use crate::core::Core;
use crate::queue::Queue;

/// What kind of call is in flight.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Reserve,
    Sync,
}

/// How often a store that is out of reach is tried.
const PROBE: u64 = 100_000_000;

/// How long a correction waits for others to go with it, and how many do not.
const GATHER: u64 = 50_000_000;
const GATHERED: usize = 256;

/// How often one who sent something lately looks whether the state is still there.
const LOOK: u64 = 1_000_000_000;

/// How often it shows that it is still there itself, and tells what it wants: so often, or in a large fleet so long
/// for each member, but never less often than that.
const BEAT: u64 = 1_000_000_000;
const BEAT_EACH: u64 = 20_000_000;
const LEAST_BEAT: u64 = 7_000_000_000;

/// By how many microseconds the clock may be wrong beyond what the others know.
const WORSE: f64 = 1_000.0;

impl Member {
    /// When the next call is to be made, if there is anything to call for.
    pub(crate) fn due(&self, now: u64, core: &Core, queue: Option<&Queue>) -> Option<u64> {
        if !self.applies {
            return None;
        }
        let sync = self
            .sync_due(now, core, queue)
            .filter(|_| self.syncing.is_none());
        let look = self
            .looks(now, core)
            .then(|| self.contact.saturating_add(LOOK));
        let wants = self.wants_at(now, queue);
        [sync, look, wants, self.late_at()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether it is to see that the state is still there, which any other call tells as well.
    fn looks(&self, now: u64, core: &Core) -> bool {
        let calls = self.asked.is_some() || self.syncing.is_some();
        self.phase == Phase::Live && !calls && core.sent_lately(now)
    }

    fn sync_due(&self, now: u64, core: &Core, queue: Option<&Queue>) -> Option<u64> {
        let waiting = queue.is_some_and(|queue| queue.len() > 0);
        let active = waiting || self.is_new || core.sent_lately(now);
        match self.phase {
            Phase::Out { .. } => active.then(|| self.attempt.saturating_add(PROBE)),
            Phase::Joining | Phase::Held | Phase::Quiet { .. } => active.then_some(self.retry_at),
            Phase::Live if self.outbox.urgent || self.may_be_off(now) > self.err + WORSE => {
                Some(now)
            }
            Phase::Live => {
                let beat = active.then(|| self.beat_at());
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
            return Some(self.sync(now, core, queue));
        }
        let costs = self.wanted(now, queue);
        let look = self.looks(now, core) && self.contact.saturating_add(LOOK) <= now;
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
        // What cannot wait for the next call, and twice what that takes.
        let horizon = 20_000.0 + 4.0 * self.may_be_off(now);
        let call = Call {
            script: Script::Reserve(shapes.len()),
            numbers: wire::reserve(self.known, &shapes, &wanted, horizon),
            member: Vec::new(),
            quota: Vec::new(),
        };
        (Kind::Reserve, call)
    }

    fn beat_at(&self) -> u64 {
        let each = super::number::cast(self.members).saturating_mul(BEAT_EACH);
        self.beat.saturating_add(each.clamp(BEAT, LEAST_BEAT))
    }

    fn sync(&mut self, now: u64, core: &mut Core, queue: Option<&Queue>) -> (Kind, Call) {
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
            Phase::Out { since, .. } => (Tells::SoFar, since),
            Phase::Quiet { since } => (Tells::All, since),
        };
        let seeds = if tells == Tells::Nothing {
            Vec::new()
        } else {
            self.sent(now, core)
        };
        let beat = self.phase != Phase::Live || self.beat_at() <= now;
        if beat {
            let waiting = queue.map_or(0, |queue| core.time_of(queue.backlog()));
            self.share.count(now, waiting);
        }
        let Outbox {
            mut corrections, ..
        } = std::mem::take(&mut self.outbox);
        if tells != Tells::Nothing {
            // The state may be another one, in which what was granted is not, but what others sent at the time.
            for one in &mut corrections {
                one.less.fill(0.0);
            }
        }
        let longest = core.plan().longest();
        let news = News {
            guard: micros(core.guard()).floor(),
            frozen: frozen.map(theirs),
            closed: theirs(closed),
            since,
            tells,
            // What is sent later in this same microsecond is told by the next.
            written: if self.offset.is_known() {
                self.offset.theirs(now) - 1.0
            } else {
                0.0
            },
            expected: self.members.max(1.0),
            beat,
            want: self.share.told(),
            // Twice the longest window, but never so short that a pause looks like a wipe.
            ttl: (micros(longest) / 500.0).ceil().max(LEAST_TTL),
            corrections,
            seeds,
        };
        let learned = self.learned(now, core);
        if beat {
            // What is not seen again need not be told for long.
            self.late /= 2.0;
        }
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
        self.err = self.may_be_off(now);
        let longest = core.plan().shortest() / 4;
        let most_guard = match core.plan().settings.guard {
            Guard::Fixed(_) => micros(guard),
            Guard::Learned => micros(longest.min(1_000_000_000)),
        };
        Learned {
            delta: delta.round(),
            most_guard: most_guard.floor(),
            err: self.err,
        }
    }

    /// What was sent within the windows, by limit and on the clock of the store.
    fn sent(&self, now: u64, core: &mut Core) -> Vec<Vec<(f64, f64)>> {
        let theirs = |(at, cost): (u64, u64)| (self.offset.theirs(at), count(cost).min(MOST));
        let sent = core.sent(now).into_iter();
        sent.map(|log| log.into_iter().map(theirs).collect())
            .collect()
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
