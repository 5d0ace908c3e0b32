//! The limits in virtual time, against [`crate::oracle`].

use std::time::Duration;

use model_studio_sim::{
    Ask, Charging, Counting, Growth, Limits, Partition, RefusalKind, Stranger, Usage, Window,
};
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

fn at(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// How many of `tries` requests at once pass.
fn burst(partition: &mut Partition, now: Duration, tries: u32) -> usize {
    (0..tries)
        .filter(|_| partition.arrive(now, Ask::default()).is_ok())
        .count()
}

#[test]
fn what_a_window_lets_through_in_a_burst_depends_on_how_it_counts() {
    let limits = || Limits::unlimited().per_second(10);
    // Ten in the last instant before a second is over, and how many in the next?
    let next = |limits: Limits| {
        let mut partition = Partition::new(limits);
        let before = burst(&mut partition, at(999), 20);
        (
            before,
            burst(&mut partition, at(1000), 20),
            burst(&mut partition, at(1500), 20),
        )
    };
    assert_eq!(next(limits()), (10, 0, 0), "sliding");
    assert_eq!(next(limits().fixed()), (10, 10, 0), "fixed");
    assert_eq!(next(limits().counters()), (10, 0, 5), "two counters");
    assert_eq!(next(limits().buckets(100)), (10, 0, 5), "bucket");
    assert_eq!(next(limits().buckets(20)), (2, 0, 2), "a fifth of a bucket");
}

#[test]
fn the_tally_shows_what_a_fixed_window_lets_through_at_its_edge() {
    let mut partition = Partition::new(Limits::unlimited().per_second(10).fixed());
    burst(&mut partition, at(999), 20);
    burst(&mut partition, at(1000), 20);
    assert_eq!(partition.tally().windows[0].highest, 20);
}

#[test]
fn counted_refusals_keep_a_window_full() {
    for (counted, passes) in [(false, 10), (true, 0)] {
        let limits = Limits::unlimited().per_second(10).count_refused(counted);
        let mut partition = Partition::new(limits);
        assert_eq!(burst(&mut partition, at(0), 10), 10);
        assert_eq!(burst(&mut partition, at(500), 10), 0);
        assert_eq!(burst(&mut partition, at(1000), 10), passes, "{counted}");
    }
}

#[test]
fn tokens_are_charged_when_the_charging_says() {
    let ask = Ask::new(100, 400);
    // How many of these pass at once, and how many more once those are over, having used 150 each?
    let passes = |charging| {
        let limits = Limits::unlimited()
            .tokens_per_minute(1000)
            .charging(charging);
        let mut partition = Partition::new(limits);
        let mut rounds = [0, 0];
        for round in &mut rounds {
            let mut tickets = Vec::new();
            while tickets.len() < 20 {
                match partition.arrive(at(0), ask) {
                    Ok(ticket) => tickets.push(ticket),
                    Err(refusal) => {
                        assert_eq!(refusal.kind, RefusalKind::TokenRate);
                        break;
                    }
                }
            }
            *round = tickets.len();
            for ticket in tickets {
                partition.finish(at(0), ticket, Usage::new(100, 50));
            }
        }
        rounds
    };
    assert_eq!(passes(Charging::MaxUpFront), [2, 0]);
    assert_eq!(passes(Charging::MaxThenRefund), [2, 1]);
    assert_eq!(passes(Charging::PromptThenRest), [10, 0]);
    assert_eq!(passes(Charging::AtEnd), [20, 0]);
}

#[test]
fn growth_refuses_what_starts_too_fast_and_lets_a_ramp_pass() {
    let limits = || Limits::per_minute(10_000).growth(Growth::new(5, 150, at(1000)));
    let mut partition = Partition::new(limits());
    assert_eq!(burst(&mut partition, at(0), 100), 5);
    let refusal = partition.arrive(at(0), Ask::default()).unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::Burst);

    let ramp: Vec<_> = (1..6)
        .map(|second| burst(&mut partition, at(1000 * second), 100))
        .collect();
    assert_eq!(ramp, [7, 10, 15, 22, 33], "half as many again every second");
    assert_eq!(
        burst(&mut partition, at(60_000), 100),
        5,
        "forgotten while idle"
    );
}

#[test]
fn the_trial_credit_ends_all_service() {
    let mut partition = Partition::new(Limits::unlimited().free_tokens(100));
    for _ in 0..2 {
        let ticket = partition.arrive(at(0), Ask::new(10, 50)).unwrap();
        partition.finish(at(0), ticket, Usage::new(10, 50));
    }
    let refusal = partition
        .arrive(at(1_000_000_000), Ask::new(10, 50))
        .unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::FreeQuota);
    assert_eq!(partition.wait(at(1_000_000_000), Ask::default()), None);
}

#[test]
fn a_stranger_takes_his_share_while_he_is_there() {
    let stranger = Stranger::new(at(1000), at(3000), 50);
    let mut partition = Partition::new(Limits::unlimited().per_second(10).stranger(stranger));
    let passes: Vec<_> = (0..5)
        .map(|second| burst(&mut partition, at(1000 * second), 20))
        .collect();
    assert_eq!(passes, [10, 5, 5, 10, 10]);
}

#[test]
fn the_longest_window_that_is_full_is_the_one_that_refuses() {
    let limits = Limits::unlimited().per_second(1).tokens_per_minute(5);
    let mut partition = Partition::new(limits.charging(Charging::MaxUpFront));
    let _ticket = partition.arrive(at(0), Ask::new(2, 2)).unwrap();
    let refusal = partition.arrive(at(0), Ask::new(1, 0)).unwrap_err();
    assert_eq!(
        (refusal.kind, refusal.window),
        (RefusalKind::RequestRate, Some(0))
    );
    let refusal = partition.arrive(at(0), Ask::new(2, 2)).unwrap_err();
    assert_eq!(
        (refusal.kind, refusal.window),
        (RefusalKind::TokenRate, Some(1))
    );
}

#[test]
fn of_equally_long_windows_that_are_full_the_first_refuses() {
    let limits = Limits::per_minute(0).tokens_per_minute(0);
    let refusal = Partition::new(limits)
        .arrive(at(0), Ask::default())
        .unwrap_err();
    assert_eq!(
        (refusal.kind, refusal.window),
        (RefusalKind::RequestRate, Some(0))
    );
}

#[test]
fn a_bucket_is_filled_at_the_rate_that_a_stranger_left_until_the_moment_he_goes() {
    let stranger = Stranger::new(at(0), at(1000), 50);
    let limits = Limits::unlimited()
        .per_second(10)
        .buckets(100)
        .stranger(stranger);
    let mut partition = Partition::new(limits);
    assert_eq!(
        burst(&mut partition, at(0), 20),
        5,
        "half of the depth is his"
    );
    assert_eq!(
        burst(&mut partition, at(1000), 20),
        5,
        "and half of the rate"
    );
    assert_eq!(burst(&mut partition, at(2000), 20), 10);
}

#[test]
fn waits_are_rounded_up_to_the_nanosecond() {
    let window = Window::requests(3, ns(10)).counting(Counting::Bucket { depth: 1 });
    let mut partition = Partition::new(Limits::unlimited().window(window));
    assert!(partition.arrive(ns(0), Ask::default()).is_ok());
    assert_eq!(partition.wait(ns(0), Ask::default()), Some(ns(4)));
}

#[test]
fn time_never_goes_back() {
    let mut partition = Partition::new(Limits::unlimited().per_second(1).fixed());
    assert_eq!(burst(&mut partition, at(5000), 1), 1);
    assert_eq!(burst(&mut partition, at(0), 1), 0);
    assert_eq!(burst(&mut partition, at(6000), 1), 1);
}
