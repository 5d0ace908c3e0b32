use std::hash::{DefaultHasher, Hasher};
use std::time::Duration;

use tokio::time::Instant;

use crate::strategy::Pick;

/// What a strategy sees of an account that can take the request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<'a> {
    pub(crate) id: &'a str,
    /// Its place among `of` accounts.
    pub(crate) index: usize,
    pub(crate) of: usize,
    pub(crate) weight: u32,
    pub(crate) last_used: u64,
    /// How much more it has served than its turn, by weight.
    pub(crate) ahead: u64,
    /// Whether its only keys are not proven and serving.
    pub(crate) busy: bool,
    /// When it has room; `None` for not before something changes.
    pub(crate) slot: Option<Instant>,
}

/// What a strategy sees of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    pub(crate) now: Instant,
    /// The place after the account chosen last.
    pub(crate) cursor: usize,
    /// The conversation it belongs to.
    pub(crate) conversation: Option<u64>,
}

/// The smallest is chosen.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Rank {
    class: u8,
    slot: Instant,
    busy: bool,
    order: u64,
}

impl Pick {
    pub(crate) fn rank(&self, candidate: &Candidate<'_>, wish: &Wish) -> Rank {
        let now = wish.now;
        let patience = match self {
            Self::Sticky { spill_after } => *spill_after,
            _ => Duration::ZERO,
        };
        // Not `now + patience`, which may be later than any clock goes.
        let has_room = candidate
            .slot
            .is_some_and(|slot| slot.saturating_duration_since(now) <= patience);
        let order = match self {
            _ if !has_room => None,
            Self::EarliestSlot => None,
            Self::LeastRecentlyUsed => Some(candidate.last_used),
            Self::RoundRobin => {
                let place = candidate.index + candidate.of - wish.cursor % candidate.of;
                Some((place % candidate.of) as u64)
            }
            Self::Weighted => Some(candidate.ahead),
            Self::FillFirst => Some(candidate.index as u64),
            Self::Sticky { .. } => wish
                .conversation
                .map(|conversation| distance(conversation, candidate.id, candidate.weight)),
        };
        let is_sticky = matches!(self, Self::Sticky { .. });
        match (order, candidate.slot) {
            (Some(order), _) => Rank {
                class: 0,
                slot: now,
                busy: candidate.busy && !is_sticky,
                order,
            },
            (None, slot) => Rank {
                class: if slot.is_some() { 1 } else { 2 },
                slot: slot.unwrap_or(now).max(now),
                busy: candidate.busy,
                order: candidate.last_used,
            },
        }
    }
}

/// How far an account is from a conversation: smallest for each account in proportion to its weight,
/// whatever other accounts there are (weighted rendezvous hashing).
fn distance(conversation: u64, account: &str, weight: u32) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write_u64(conversation);
    hasher.write(account.as_bytes());
    // A number in 0..1, of 53 bits; -ln(u) / weight is an exponential of rate `weight`, and the
    // smallest of several such falls to each in proportion to its rate.
    #[allow(clippy::cast_precision_loss, reason = "53 bits are exact")]
    let uniform = ((hasher.finish() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    let distance = -uniform.ln() / f64::from(weight);
    // Positive floats order as their bits do.
    distance.to_bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(id: &str, index: usize) -> Candidate<'_> {
        Candidate {
            id,
            index,
            of: 3,
            weight: 1,
            last_used: 0,
            ahead: 0,
            busy: false,
            slot: None,
        }
    }

    fn wish(now: Instant) -> Wish {
        Wish {
            now,
            cursor: 0,
            conversation: None,
        }
    }

    #[test]
    fn prefers_the_earliest_slot_then_the_most_rested() {
        let now = Instant::now();
        let rank = |slot: u64, last_used| {
            let slot = Some(now + Duration::from_secs(slot));
            Pick::EarliestSlot.rank(
                &Candidate {
                    last_used,
                    slot,
                    ..account("a", 0)
                },
                &wish(now),
            )
        };
        assert!(rank(1, 9) < rank(2, 0));
        assert!(rank(1, 3) < rank(1, 4));
        let never = Pick::EarliestSlot.rank(&account("a", 0), &wish(now));
        assert!(rank(1000, 9) < never);
    }

    #[test]
    fn a_busy_unproven_key_comes_last_among_equals() {
        let now = Instant::now();
        let rank = |busy, slot: u64| {
            let slot = Some(now + Duration::from_secs(slot));
            Pick::EarliestSlot.rank(
                &Candidate {
                    busy,
                    slot,
                    ..account("a", 0)
                },
                &wish(now),
            )
        };
        assert!(rank(false, 0) < rank(true, 0));
        assert!(rank(true, 0) < rank(false, 1)); // but not behind a queue
    }

    #[test]
    fn an_account_without_room_is_passed_over_while_another_has_some() {
        let now = Instant::now();
        for pick in [
            Pick::RoundRobin,
            Pick::Weighted,
            Pick::LeastRecentlyUsed,
            Pick::FillFirst,
            Pick::Sticky {
                spill_after: Duration::ZERO,
            },
        ] {
            // The first is the one to pick by every other measure.
            let rank = |index: usize, slot: u64| {
                let candidate = Candidate {
                    slot: Some(now + Duration::from_millis(slot)),
                    last_used: index as u64,
                    ahead: index as u64,
                    ..account("a", index)
                };
                pick.rank(&candidate, &wish(now))
            };
            assert!(rank(0, 0) < rank(1, 0), "{pick:?}");
            assert!(rank(1, 0) < rank(0, 1), "{pick:?}");
            // Nobody has: the earliest slot.
            assert!(rank(1, 1) < rank(0, 2), "{pick:?}");
        }
    }

    #[test]
    fn fills_the_first_account_that_has_room() {
        let now = Instant::now();
        let rank = |index, slot: u64| {
            let slot = Some(now + Duration::from_secs(slot));
            Pick::FillFirst.rank(
                &Candidate {
                    slot,
                    ..account("a", index)
                },
                &wish(now),
            )
        };
        assert!(rank(0, 0) < rank(1, 0));
        assert!(rank(1, 0) < rank(0, 1));
        assert!(rank(1, 1) < rank(0, 2));
    }

    #[test]
    fn conversations_spread_by_weight_and_move_only_when_they_must() {
        let now = Instant::now();
        let home = |conversation, ids: &[(&'static str, u32)]| {
            let sticky = Pick::Sticky {
                spill_after: Duration::ZERO,
            };
            let wish = Wish {
                conversation: Some(conversation),
                ..wish(now)
            };
            let ranked = ids.iter().map(|&(id, weight)| {
                (
                    sticky.rank(
                        &Candidate {
                            slot: Some(now),
                            weight,
                            ..account(id, 0)
                        },
                        &wish,
                    ),
                    id,
                )
            });
            ranked.min().unwrap().1
        };
        let three = [("a", 1), ("b", 1), ("c", 2)];
        let mut counts = std::collections::HashMap::new();
        for conversation in 0..4000 {
            let at = home(conversation, &three);
            *counts.entry(at).or_insert(0) += 1;
            if at != "c" {
                assert_eq!(home(conversation, &three[..2]), at); // its home is still there
            }
        }
        assert!((1850..2150).contains(&counts["c"]), "{counts:?}");
        assert!((880..1120).contains(&counts["a"]), "{counts:?}");
    }

    #[test]
    fn a_conversation_spills_when_its_account_has_no_room() {
        let now = Instant::now();
        let sticky = Pick::Sticky {
            spill_after: Duration::from_secs(2),
        };
        let rank = |conversation, id, slot: u64| {
            let slot = Some(now + Duration::from_secs(slot));
            let wish = Wish {
                conversation: Some(conversation),
                ..wish(now)
            };
            sticky.rank(
                &Candidate {
                    slot,
                    ..account(id, 0)
                },
                &wish,
            )
        };
        for conversation in 0..50 {
            let (home, other) = if rank(conversation, "a", 0) < rank(conversation, "b", 0) {
                ("a", "b")
            } else {
                ("b", "a")
            };
            assert!(rank(conversation, home, 2) < rank(conversation, other, 0));
            assert!(rank(conversation, other, 0) < rank(conversation, home, 3));
            assert!(rank(conversation, other, 3) < rank(conversation, home, 4));
        }
    }
}
