//! The arithmetic of the scripts in Rust: what a store in this process reckons with, and what the tests
//! hold the scripts against. Times are microseconds on the clock of the store.

mod sync;

use std::collections::BTreeMap;

use super::log::Log;
use super::shape::{NUMBERS, Shape};
use super::wire::{Call, HEAD, Script, bytes, numbers};

/// The state of one partition, once there is one.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    state: Option<State>,
}

#[derive(Clone, Debug, Default)]
struct State {
    generation: f64,
    hold: f64,
    epoch: f64,
    frozen: f64,
    frozen_tokens: f64,
    closed: f64,
    members: f64,
    guard: f64,
    err: f64,
    ttl: f64,
    expected: f64,
    seeded: f64,

    /// Changes with any of what stands before it; negative while all are held.
    version: f64,
    horizon: f64,
    renew: f64,
    skew: f64,
    now: f64,
    logs: Vec<Log>,
    quota: Vec<u8>,

    /// Those who were seen, by name.
    seen: BTreeMap<Vec<u8>, Seen>,
}

/// What is known of a member.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// In which generation it told what it sent, and when that was written.
    told: f64,
    until_then: f64,

    /// In which generation it told that it sends nothing more.
    quiet: f64,
    at: f64,

    /// What part of the quota it wants, and by how much its clock may be wrong.
    want: f64,
    err: f64,
}

const FINE: f64 = 0.0;
const STALE: f64 = 1.0;
const HELD: f64 = 2.0;
const OTHER: f64 = 3.0;
const NEWS: f64 = 4.0;

/// How far ahead the first two requests of a call may be granted slots, and the others of all members
/// together.
const AHEAD: f64 = 1_000_000.0;
const HORIZON: f64 = 250_000.0;

/// How long it is waited for members to tell what they sent, and when one counts as gone.
const HOLD: f64 = 1_500_000.0;
const GONE: f64 = 25_000_000.0;

/// How long what a member wants, and how wrong its clock is, counts: so long, or so long for each member.
const LATELY: f64 = 3_500_000.0;
const LATELY_EACH: f64 = 70_000.0;

/// The numbers of a call, one after the other.
struct Numbers(std::vec::IntoIter<f64>);

impl Numbers {
    fn new(call: &Call) -> Self {
        Self(numbers(&call.numbers).into_iter())
    }

    fn one(&mut self) -> f64 {
        self.0.next().unwrap_or_default()
    }

    fn count(&mut self) -> usize {
        usize::try_from(super::number::cast(self.one())).unwrap_or_default()
    }

    fn some(&mut self, count: usize) -> Vec<f64> {
        (0..count).map(|_| self.one()).collect()
    }

    fn shapes(&mut self, limits: usize, numbers: usize) -> Vec<Shape> {
        let mut shape = || {
            let mut some = self.some(numbers);
            some.resize(NUMBERS, 0.0);
            Shape::read(&some)
        };
        (0..limits).filter_map(|_| shape()).collect()
    }
}

impl Model {
    pub(super) fn call(&mut self, now: f64, call: &Call) -> Vec<u8> {
        let numbers = Numbers::new(call);
        match call.script {
            Script::Reserve(limits) => self.reserve(now, numbers, limits),
            Script::Sync => self.sync(now, numbers, call),
        }
    }

    fn reserve(&mut self, now: f64, mut ask: Numbers, limits: usize) -> Vec<u8> {
        let Some(state) = &mut self.state else {
            let mut nothing = vec![STALE, now, now];
            nothing.resize(HEAD, 0.0);
            return bytes(&nothing);
        };
        let (version, seen) = (ask.one(), ask.one());
        let requests = ask.count();
        let shapes = ask.shapes(limits, NUMBERS - 1);
        let wanted: Vec<_> = (0..requests.max(1))
            .map(|_| (ask.one() != 0.0, ask.some(limits)))
            .collect();
        let (horizon, generation, epoch) = (ask.one(), ask.one(), ask.one());
        let now = now + state.skew;
        let (skew, now) = if state.now > now {
            (state.skew + state.now - now, state.now)
        } else {
            (state.skew, now)
        };
        let news = version != state.version;
        if news || seen > state.now {
            let status = if generation != state.generation || seen > state.now {
                STALE
            } else if state.hold > 0.0 {
                HELD
            } else if epoch != state.epoch {
                OTHER
            } else {
                FINE
            };
            if status != FINE {
                let next = if status == HELD { state.hold } else { now };
                return state.answer(status, now, next, &[]);
            }
        }
        let has_news = news || skew != state.skew || now > state.renew;
        if now > state.renew {
            state.renew = now + state.ttl * 250.0;
        }
        state.skew = skew;
        state.now = now;
        let more = state.guard + state.err;
        let opens = now.max(state.frozen).max(state.closed);
        let (mut slots, mut next) = (Vec::new(), 0.0);
        for (tokens, costs) in wanted.into_iter().take(requests) {
            let mut slot = opens;
            if tokens {
                slot = slot.max(state.frozen_tokens);
            }
            let mut rooms = Vec::new();
            for ((log, shape), cost) in state.logs.iter().zip(&shapes).zip(&costs) {
                let room = (*cost > 0.0).then(|| log.room(now, slot, *cost, shape, more));
                slot = room.map_or(slot, |room| room.slot);
                rooms.push(room);
            }
            let ahead = if slots.len() < 2 {
                AHEAD
            } else {
                state.horizon.max(horizon)
            };
            if slot > now + ahead {
                next = slot;
                break;
            }
            let logs = state.logs.iter_mut().zip(&shapes).zip(&costs);
            for (((log, shape), cost), room) in logs.zip(rooms) {
                if let Some(room) = room {
                    log.take(slot, *cost, room, shape, more);
                }
            }
            slots.push(slot);
        }
        if has_news || next > 0.0 || slots.is_empty() {
            return state.answer(NEWS, now, next, &bytes(&slots));
        }
        let mut answer = bytes(&[FINE, now]);
        answer.extend(bytes(&slots));
        answer
    }
}

impl State {
    /// A generation begins where something may be missing: all are to tell what they sent before any
    /// slot is granted.
    fn begin(&mut self, now: f64, expected: f64) {
        self.generation = now.max(self.generation + 1.0);
        self.hold = now + HOLD;
        self.expected = expected;
        self.seeded = 0.0;
        for log in &mut self.logs {
            *log = Log::new(log.shape, Vec::new(), 0.0);
        }
    }

    /// Takes over a quota. Limits of the same unit and window keep what they counted.
    fn take_over(&mut self, now: f64, shapes: &[Shape]) {
        let old = std::mem::take(&mut self.logs);
        for shape in shapes {
            let same =
                |log: &&Log| log.shape.unit == shape.unit && log.shape.window == shape.window;
            let kept = old.iter().find(same);
            let entries = kept.map(Log::entries).unwrap_or_default();
            let more = self.guard + self.err;
            let mut log = Log::new(*shape, entries, more);
            log.full = kept.map_or(now, |kept| kept.full);
            self.logs.push(log);
        }
    }

    /// Puts what was sent among what was granted; of two at the same time the `first` is the new one.
    fn merge(&mut self, now: f64, index: usize, new: Vec<(f64, f64)>, first: bool) {
        let more = self.guard + self.err;
        let Some(log) = self.logs.get_mut(index) else {
            return;
        };
        let mut all = if first { new.clone() } else { log.entries() };
        all.extend(if first { log.entries() } else { new });
        all.sort_by(|one, other| one.0.total_cmp(&other.0)); // stable
        *log = Log::new(log.shape, all, more);
        // However much it is, the log holds it back no longer than a window.
        log.full = log.full.min(now + log.shape.window + more);
    }

    /// How many there are, what parts those want who told so lately, and by how much their clocks may be wrong.
    fn members(&mut self, now: f64) -> (f64, Vec<f64>, f64) {
        self.seen.retain(|_, seen| seen.at >= now - GONE);
        let lately = now - LATELY.max((self.members * LATELY_EACH).min(GONE));
        let fresh: Vec<_> = self.seen.values().filter(|one| one.at >= lately).collect();
        let wants = fresh.iter().map(|one| one.want).collect();
        let err = fresh.iter().map(|one| one.err).fold(0.0, f64::max);
        (super::number::count(self.seen.len() as u64), wants, err)
    }

    /// What all of a generation know.
    fn rare(&self) -> [f64; 12] {
        [
            self.generation,
            self.hold,
            self.epoch,
            self.frozen,
            self.frozen_tokens,
            self.closed,
            self.members,
            self.guard,
            self.err,
            self.ttl,
            self.expected,
            self.seeded,
        ]
    }

    fn answer(&self, status: f64, now: f64, next: f64, rest: &[u8]) -> Vec<u8> {
        let mut answer = bytes(&[status, now, next]);
        answer.extend(bytes(&self.rare()));
        answer.extend(bytes(&[self.version]));
        answer.extend_from_slice(rest);
        answer
    }
}

/// The level up to which each gets what it wants, what each gets besides, so that all is given away, and what all want.
fn level(mut wants: Vec<f64>) -> [f64; 3] {
    wants.sort_by(f64::total_cmp);
    let count = |len: usize| super::number::count(len as u64);
    let all = wants.iter().fold(0.0, |all, want| all + want);
    let mut left = 1.0;
    for (index, want) in wants.iter().enumerate() {
        let each = left / count(wants.len() - index);
        if *want > each {
            return [each, 0.0, all];
        }
        left -= want;
    }
    [1.0, left / count(wants.len().max(1)), all]
}
