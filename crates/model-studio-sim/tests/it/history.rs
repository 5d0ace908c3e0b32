//! The limits in virtual time, against the whole history: [`crate::oracle`].

use std::time::Duration;

use model_studio_sim::{Ask, Charging, Counting, Limits, Partition, Usage, Window};
use proptest::prelude::*;

use crate::oracle::{Oracle, Rule, Rules, ns};

/// `SplitMix64`: cheap enough for a million arrivals.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }
}

fn counting(kind: u8) -> BoxedStrategy<Counting> {
    match kind {
        0 => Just(Counting::Sliding).boxed(),
        1 => Just(Counting::Fixed).boxed(),
        2 => Just(Counting::Counter).boxed(),
        _ => (0_u64..12)
            .prop_map(|depth| Counting::Bucket { depth })
            .boxed(),
    }
}

prop_compose! {
    fn rule(kind: impl Strategy<Value = u8>)(
        counting in kind.prop_flat_map(counting),
        tokens: bool,
        limit in 0_u64..10,
        length in prop_oneof![1_u64..20, 900_u64..1100],
        phase in 0_u64..1000,
    ) -> Rule {
        // Tokens come by the dozen.
        let scale = if tokens { 12 } else { 1 };
        let counting = match counting {
            Counting::Bucket { depth } => Counting::Bucket { depth: depth * scale },
            counting => counting,
        };
        Rule { tokens, limit: limit * scale, length, counting, phase }
    }
}

fn charging() -> impl Strategy<Value = Charging> {
    prop_oneof![
        Just(Charging::MaxUpFront),
        Just(Charging::MaxThenRefund),
        Just(Charging::PromptThenRest),
        Just(Charging::AtEnd),
    ]
}

prop_compose! {
    fn one_window(kind: u8)(
        window in rule(Just(kind)),
        charging in charging(),
        count_refused: bool,
    ) -> Rules {
        Rules { windows: vec![window], charging, count_refused, growth: None, strangers: vec![] }
    }
}

prop_compose! {
    fn anything()(
        windows in prop::collection::vec(rule(0_u8..4), 0..4),
        charging in charging(),
        count_refused: bool,
        growth in prop::option::of((0_u64..5, 50_u32..300, 1_u64..2000)),
        strangers in prop::collection::vec((0_u64..20_000, 0_u64..20_000, 0_u32..70), 0..3),
    ) -> Rules {
        Rules { windows, charging, count_refused, growth, strangers }
    }
}

/// Drives both through the same arrivals and endings, as random as they come.
fn agree(rules: &Rules, seed: u64, arrivals: u32) -> Result<(), TestCaseError> {
    let mut dice = Dice(seed);
    let mut partition = Partition::new(rules.limits());
    let mut oracle = Oracle::new(rules.clone());
    let length = rules.windows.first().map_or(1000, |window| window.length);
    let mut open = Vec::new();
    let mut now = 0;
    for arrival in 0..arrivals {
        now += match dice.roll(8) {
            0 | 1 => 0,
            2 => 1,
            3 => length,
            4 => dice.roll(3 * length),
            _ => dice.roll(length / 3 + 1),
        };
        let ask = Ask::new(dice.roll(12), dice.roll(12));
        let ours = partition.arrive(ns(now), ask);
        let theirs = oracle.arrive(now, ask);
        match (ours, theirs) {
            (Ok(ticket), Ok(entry)) => open.push((ticket, entry, ask)),
            (Err(ours), Err(theirs)) => {
                prop_assert_eq!(ours.kind, theirs, "arrival {} at {}", arrival, now);
            }
            (ours, theirs) => {
                prop_assert!(
                    false,
                    "arrival {} at {}: {:?}, {:?}",
                    arrival,
                    now,
                    ours,
                    theirs
                );
            }
        }
        while !open.is_empty() && dice.roll(2) == 0 {
            let next = usize::try_from(dice.roll(open.len() as u64)).unwrap();
            let (ticket, entry, ask) = open.swap_remove(next);
            now += dice.roll(3) * dice.roll(length);
            let completion = dice.roll(ask.max_tokens + 1);
            partition.finish(ns(now), ticket, Usage::new(ask.prompt_tokens, completion));
            oracle.finish(now, entry, ask.prompt_tokens, completion);
        }
    }
    let highest: Vec<_> = partition
        .tally()
        .windows
        .iter()
        .map(|window| window.highest)
        .collect();
    prop_assert_eq!(&highest, &oracle.highest);
    Ok(())
}

/// 10 000 × 100 arrivals.
const CASES: u32 = 10_000;
const ARRIVALS: u32 = 100;

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_sliding_window_counts_as_the_whole_history_does(rules in one_window(0), seed: u64) {
        agree(&rules, seed, ARRIVALS)?;
    }

    #[test]
    fn a_fixed_window_counts_as_the_whole_history_does(rules in one_window(1), seed: u64) {
        agree(&rules, seed, ARRIVALS)?;
    }

    #[test]
    fn two_counters_count_as_the_whole_history_does(rules in one_window(2), seed: u64) {
        agree(&rules, seed, ARRIVALS)?;
    }

    #[test]
    fn a_bucket_counts_as_the_whole_history_does(rules in one_window(3), seed: u64) {
        agree(&rules, seed, ARRIVALS)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_limits_together_count_as_the_whole_history_does(rules in anything(), seed: u64) {
        agree(&rules, seed, ARRIVALS)?;
    }

    #[test]
    fn wait_is_the_first_moment_at_which_the_same_request_passes(rules in anything(), seed: u64) {
        let rules = Rules { growth: None, ..rules };
        let mut dice = Dice(seed);
        let mut partition = Partition::new(rules.limits());
        let mut now = 0;
        for _ in 0..30 {
            now += dice.roll(200);
            let ask = Ask::new(dice.roll(12), dice.roll(12));
            let passes = |partition: &Partition, at| partition.clone().arrive(ns(at), ask).is_ok();
            match partition.wait(ns(now), ask) {
                Some(Duration::ZERO) => prop_assert!(passes(&partition, now)),
                Some(wait) => {
                    let at = now + u64::try_from(wait.as_nanos()).unwrap();
                    prop_assert!(passes(&partition, at), "at {}", at);
                    for before in [now, now + (at - now) / 2, at - 1] {
                        prop_assert!(!passes(&partition, before), "at {}, not {}", before, at);
                    }
                }
                // Never: not after any change either.
                None => {
                    for at in [now, now + 5_000, now + 100_000] {
                        prop_assert!(!passes(&partition, at), "at {}", at);
                    }
                }
            }
            if let Ok(ticket) = partition.arrive(ns(now), ask) {
                let completion = dice.roll(ask.max_tokens + 1);
                partition.finish(ns(now), ticket, Usage::new(ask.prompt_tokens, completion));
            }
        }
    }

    #[test]
    fn a_sliding_window_never_lets_more_through_than_its_limit(
        limit in 0_u64..20, length in 1_u64..1000, seed: u64,
    ) {
        let window = Window::requests(limit, ns(length));
        let mut partition = Partition::new(Limits::unlimited().window(window));
        let mut dice = Dice(seed);
        let mut now = 0;
        for _ in 0..100 {
            now += dice.roll(length / 4 + 1);
            let _ = partition.arrive(ns(now), Ask::default());
        }
        prop_assert!(partition.tally().windows[0].highest <= limit);
    }
}
