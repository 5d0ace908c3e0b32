//! The twin of the script that does all but granting.

use super::{HORIZON, Model, NEWS, Numbers, OTHER, STALE, Seen, State, level};
use crate::shared::shape::NUMBERS;
use crate::shared::wire::{Call, bytes};

impl Model {
    #[allow(
        clippy::too_many_lines,
        reason = "in the order of the script it is the twin of"
    )]
    pub(super) fn sync(&mut self, now: f64, mut ask: Numbers, call: &Call) -> Vec<u8> {
        let (generation, epoch, seen, guard) = (ask.one(), ask.one(), ask.one(), ask.one());
        let (delta, most_guard, err) = (ask.one(), ask.one(), ask.one());
        let (frozen, frozen_tokens, closed) = (ask.one(), ask.one(), ask.one());
        let (since, written, tells) = (ask.one(), ask.one(), ask.one());
        let (expected, beat, want, ttl) = (ask.one(), ask.one(), ask.one(), ask.one());
        let (limits, corrections) = (ask.count(), ask.count());
        let shapes = ask.shapes(limits, NUMBERS);
        let corrections: Vec<_> = (0..corrections)
            .map(|_| (ask.one(), ask.some(limits), ask.some(limits)))
            .collect();
        let seeds: Vec<Vec<(f64, f64)>> = (0..limits)
            .map(|_| {
                let count = ask.count();
                (0..count).map(|_| (ask.one(), ask.one())).collect()
            })
            .collect();

        let fresh = self.state.is_none();
        let before = self.state.as_ref().map(State::rare);
        let state = self.state.get_or_insert_with(|| State {
            epoch,
            guard,
            ttl,
            ..State::default()
        });
        let mut now = now + state.skew;
        if state.now > now {
            state.skew += state.now - now;
            now = state.now;
        }
        if fresh {
            state.now = now;
            state.begin(now, expected);
        } else if generation == state.generation
            && (seen > state.now || since > 0.0 && 2.0 * state.now < since + now)
        {
            // Grants were lost, or nobody was served while this one was out.
            let (expected, ..) = state.members(now);
            state.begin(now, expected);
        }

        let (mut status, mut parts) = (NEWS, Vec::new());
        if epoch > state.epoch || fresh {
            state.take_over(now, &shapes);
            (state.epoch, state.ttl) = (epoch, ttl);
            state.quota.clone_from(&call.quota);
        } else if epoch < state.epoch {
            status = OTHER;
        }
        if status == NEWS && generation != state.generation && tells == 0.0 {
            status = STALE;
        }
        state.guard = (state.guard + delta).min(most_guard).max(0.0);
        state.err = state.err.max(err);
        state.frozen = state.frozen.max(frozen);
        state.frozen_tokens = state.frozen_tokens.max(frozen_tokens);
        state.closed = state.closed.max(closed);

        if status == NEWS {
            let more = state.guard + state.err;
            for (log, shape) in state.logs.iter_mut().zip(&shapes) {
                log.shape = *shape;
            }
            for (at, less, added) in corrections {
                for ((log, less), added) in state.logs.iter_mut().zip(less).zip(added) {
                    log.correct(now, at, less, added, more);
                }
            }
            let known = state.seen.get(&call.member).copied();
            let Seen {
                told,
                mut until_then,
                mut quiet,
                ..
            } = known.unwrap_or_default();
            let mut from = now;
            if told != state.generation {
                (from, until_then) = (0.0, 0.0);
            } else if generation == state.generation && since > 0.0 {
                from = since.max(until_then);
            }
            for (index, seeds) in seeds.into_iter().enumerate() {
                let new: Vec<_> = seeds
                    .into_iter()
                    .filter(|(at, _)| *at > from && from < now)
                    .map(|(at, cost)| (at.min(now), cost))
                    .collect();
                if !new.is_empty() {
                    state.merge(now, index, new, false);
                }
            }
            if tells == 2.0 && quiet != state.generation {
                state.seeded += 1.0;
                quiet = state.generation;
            }
            let seen = Seen {
                told: state.generation,
                at: now,
                until_then: until_then.max(written.min(now)),
                quiet,
                want,
                err,
            };
            state.seen.insert(call.member.clone(), seen);
            if beat != 0.0 || known.is_none() {
                let wants;
                (state.members, wants, state.err) = state.members(now);
                parts = bytes(&level(wants));
                let more = state.guard + state.err;
                for log in &mut state.logs {
                    log.expire(now, more);
                    parts.extend(bytes(&log.told()));
                }
            }
            if state.hold > 0.0 && state.seeded >= state.expected {
                state.hold = 0.0;
            } else if state.hold > 0.0 && now >= state.hold {
                // Some did not come. What they may have sent is taken for their part of the limits.
                for index in 0..state.logs.len() {
                    let most = state.logs.get(index).map_or(0.0, |log| log.shape.most);
                    let part = (most * (state.expected - state.seeded) / state.expected).floor();
                    if part > 0.0 {
                        state.merge(now, index, vec![(state.generation, part)], true);
                    }
                }
                state.hold = 0.0;
            }
        }
        state.now = now;
        state.renew = now + state.ttl * 250.0;
        state.horizon = HORIZON / state.members.max(1.0);
        if before != Some(state.rare()) {
            state.version = now.max(state.version.abs() + 1.0);
            if state.hold > 0.0 {
                state.version = -state.version;
            }
        }
        let next = if state.hold > 0.0 { state.hold } else { now };
        let rest = if status == OTHER {
            &state.quota
        } else {
            &parts
        };
        state.answer(status, now, next, rest)
    }
}
