//! The arithmetic of the scripts in Rust: what a store in this process reckons with, and what the tests
//! hold the scripts against. Times are microseconds on the clock of the store.

mod sync;

use std::collections::BTreeMap;

use super::log::Log;
use super::shape::{NUMBERS, Shape};
use super::wire::{Call, Script, bytes, numbers};

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
    ttl: f64,
    expected: f64,
    seeded: f64,
    now: f64,
    guard: f64,
    err: f64,
    last: f64,
    calls: f64,
    granted: f64,
    skew: f64,
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
}

const FINE: f64 = 0.0;
const STALE: f64 = 1.0;
const HELD: f64 = 2.0;
const OTHER: f64 = 3.0;

/// How far ahead the first two requests of a call may be granted slots, and the others of all members
/// together.
const AHEAD: f64 = 1_000_000.0;
const HORIZON: f64 = 250_000.0;

/// How long it is waited for members to tell what they sent, and when one counts as gone.
const HOLD: f64 = 1_500_000.0;
const GONE: f64 = 25_000_000.0;

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
            let mut nothing = vec![STALE, now, 0.0, 0.0, 0.0, now];
            nothing.resize(17, 0.0);
            return bytes(&nothing);
        };
        let (generation, epoch, seen) = (ask.one(), ask.one(), ask.one());
        let (delta, most_guard, err) = (ask.one(), ask.one(), ask.one());
        let requests = ask.count();
        let shapes = ask.shapes(limits, NUMBERS - 1);
        let now = now + state.skew;
        let (skew, now) = if state.now > now {
            (state.skew + state.now - now, state.now)
        } else {
            (state.skew, now)
        };
        let status = if generation != state.generation || seen > state.calls {
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
        state.skew = skew;
        state.now = now;
        state.guard = (state.guard + delta).min(most_guard).max(0.0);
        state.err = (state.err - 1.0).max(err);
        let more = state.guard + state.err;
        let horizon = (HORIZON / state.members).max(20_000.0 + 4.0 * err);
        let (mut slots, mut next) = (Vec::new(), now);
        for _ in 0..requests {
            let tokens = ask.one() != 0.0;
            let costs = ask.some(limits);
            let mut slot = now.max(state.last).max(state.frozen).max(state.closed);
            if tokens {
                slot = slot.max(state.frozen_tokens);
            }
            let mut rooms = Vec::new();
            for ((log, shape), cost) in state.logs.iter().zip(&shapes).zip(&costs) {
                let room = (*cost > 0.0).then(|| log.room(slot, *cost, shape, more));
                slot = room.map_or(slot, |room| room.slot);
                rooms.push(room);
            }
            let ahead = if slots.len() < 2 { AHEAD } else { horizon };
            if slot - now > ahead {
                next = slot;
                break;
            }
            let logs = state.logs.iter_mut().zip(&shapes).zip(&costs);
            for (((log, shape), cost), room) in logs.zip(rooms) {
                if let Some(room) = room {
                    log.take(slot, *cost, room, shape, more);
                }
            }
            state.last = slot;
            state.granted += 1.0;
            next = slot;
            slots.push(slot);
        }
        state.calls += 1.0;
        state.answer(FINE, now, next, &bytes(&slots))
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
        self.last = now;
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
            self.last = self.last.max(log.last());
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
        self.last = self.last.max(log.last());
    }

    fn members(&mut self) -> f64 {
        let since = self.now - GONE;
        self.seen.retain(|_, seen| seen.at >= since);
        super::number::count(self.seen.len() as u64)
    }

    fn answer(&self, status: f64, now: f64, next: f64, rest: &[u8]) -> Vec<u8> {
        let mut answer = bytes(&[
            status,
            now,
            self.guard,
            self.calls,
            self.granted,
            next,
            self.generation,
            self.hold,
            self.epoch,
            self.frozen,
            self.frozen_tokens,
            self.closed,
            self.members,
            self.ttl,
            self.expected,
            self.seeded,
            0.0,
        ]);
        answer.extend_from_slice(rest);
        answer
    }
}
