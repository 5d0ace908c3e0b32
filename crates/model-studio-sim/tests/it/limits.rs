//! The limits in virtual time, one rule at a time.

use std::time::Duration;

use model_studio_sim::{
    Ask, Charging, Counting, Growth, Limits, Partition, RefusalKind, Stranger, Usage, Window,
};

use crate::oracle::ns;

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
fn sums_past_all_numbers_are_kept_and_forgotten() {
    let all = Ask::new(u64::MAX, 0);
    let ever = |counting| Window::tokens(u64::MAX, Duration::MAX).counting(counting);
    let depth = u64::MAX;
    for window in [
        Window::tokens(u64::MAX, at(60_000)),
        ever(Counting::Sliding),
        ever(Counting::Fixed),
        ever(Counting::Counter),
        ever(Counting::Bucket { depth }),
    ] {
        for charging in [Charging::MaxUpFront, Charging::AtEnd] {
            let limits = Limits::unlimited().window(window).charging(charging);
            let mut partition = Partition::new(limits);
            let tickets: Vec<_> = (0..3).flat_map(|_| partition.arrive(at(0), all)).collect();
            for ticket in tickets {
                partition.finish(at(0), ticket, Usage::new(u64::MAX, u64::MAX));
            }
            for now in [at(0), at(61_000), Duration::MAX] {
                let _ = partition.wait(now, all);
                let _ = partition.arrive(now, all);
            }
        }
    }
    let mut minute = Partition::new(Limits::unlimited().tokens_per_minute(9));
    let ticket = minute.arrive(at(0), all).unwrap();
    minute.finish(at(0), ticket, Usage::new(u64::MAX, u64::MAX));
    assert!(minute.arrive(at(59_999), all).is_err());
    assert!(minute.arrive(at(60_000), all).is_ok());
}

#[test]
fn time_never_goes_back() {
    let mut partition = Partition::new(Limits::unlimited().per_second(1).fixed());
    assert_eq!(burst(&mut partition, at(5000), 1), 1);
    assert_eq!(burst(&mut partition, at(0), 1), 0);
    assert_eq!(burst(&mut partition, at(6000), 1), 1);
}
