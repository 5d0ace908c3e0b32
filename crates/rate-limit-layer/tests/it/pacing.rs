//! How fast requests go.

use std::time::Duration;

use rate_limit_layer::{Limiter, Quota, Unit};
use test_support::{Upstream, ok};
use tokio::time::Instant;

use crate::support::{chat, ms, pass, request, send, service};

/// Sends so many at once and returns when each arrived.
async fn arrivals(limiter: &Limiter, count: usize) -> Vec<u128> {
    let upstream = Upstream::answering(|_| ok());
    let service = service(limiter, &upstream);
    let tasks: Vec<_> = (0..count).map(|_| send(&service, request())).collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    upstream.arrivals()
}

/// The most arrivals in any window of so many milliseconds.
fn most_in(arrivals: &[u128], window: u128) -> usize {
    let count = |from: &u128| {
        arrivals
            .iter()
            .filter(|at| *at >= from && **at < from + window)
            .count()
    };
    arrivals.iter().map(count).max().unwrap_or(0)
}

#[tokio::test(start_paused = true)]
async fn requests_are_spaced_at_the_rate_with_the_guard() {
    let quota = Quota::new()
        .requests_per_second(10)
        .requests_per_minute(600);
    let limiter = Limiter::builder()
        .default_quota(quota)
        .guard(ms(50))
        .build();
    let arrivals = arrivals(&limiter, 100).await;
    // 105 ms each; a timer's tick moves single ones, but not their mean.
    assert!(
        arrivals
            .windows(2)
            .all(|pair| (102..=108).contains(&(pair[1] - pair[0]))),
        "{arrivals:?}"
    );
    assert!(
        (10_390..=10_410).contains(arrivals.last().unwrap()),
        "{arrivals:?}"
    );
    assert!(most_in(&arrivals, 1000) <= 10);
}

#[tokio::test(start_paused = true)]
async fn a_tenth_of_a_window_may_go_at_once() {
    let limiter = Limiter::builder()
        .default_quota(Quota::new().requests_per_minute(600))
        .guard(ms(0))
        .build();
    let arrivals = arrivals(&limiter, 700).await;
    assert_eq!(most_in(&arrivals, 1), 60);
    assert!(most_in(&arrivals, 60_000) <= 600);
}

#[tokio::test(start_paused = true)]
async fn a_whole_window_may_go_at_once_where_bursts_are_allowed() {
    let quota = Quota::new().requests_per_minute(600).allow_bursts();
    let limiter = Limiter::builder()
        .default_quota(quota)
        .guard(ms(100))
        .build();
    let arrivals = arrivals(&limiter, 1200).await;
    assert!(arrivals[..600].iter().all(|at| *at == 0));
    assert!(arrivals[600] >= 60_100, "{}", arrivals[600]);
}

#[tokio::test(start_paused = true)]
async fn all_windows_hold_at_once() {
    let quota = Quota::new()
        .limit(Unit::Requests, 5, ms(1000))
        .limit(Unit::Requests, 20, ms(10_000))
        .limit(Unit::Requests, 50, ms(60_000))
        .allow_bursts();
    let limiter = Limiter::builder().default_quota(quota).guard(ms(0)).build();
    let arrivals = arrivals(&limiter, 120).await;
    for (window, most) in [(1000, 5), (10_000, 20), (60_000, 50)] {
        assert_eq!(most_in(&arrivals, window), most, "{window}");
    }
}

#[tokio::test(start_paused = true)]
async fn minute_windows_with_a_guard_are_used_in_full() {
    let limiter = Limiter::builder()
        .default_quota(Quota::new().requests_per_minute(600))
        .guard(ms(100))
        .build();
    let arrivals = arrivals(&limiter, 6_000).await;
    let elapsed = *arrivals.last().unwrap();
    assert!(most_in(&arrivals[..2_000], 60_000) <= 600);
    // Ten windows of 600, the first tenth of which goes at once.
    assert!(elapsed <= 600_000, "{elapsed}");
}

#[tokio::test(start_paused = true)]
async fn a_cautious_start_makes_no_burst() {
    let quota = Quota::new().requests_per_minute(600);
    let limiter = Limiter::builder()
        .default_quota(quota)
        .guard(ms(0))
        .cautious_start(true)
        .build();
    let first = arrivals(&limiter, 50).await;
    assert!(most_in(&first, 1000) <= 11, "{first:?}");

    // Nor does a model that is first asked for later.
    let upstream = Upstream::answering(|_| ok());
    let service = service(&limiter, &upstream);
    let tasks: Vec<_> = (0..50).map(|_| send(&service, chat("m", 9))).collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert!(
        most_in(&upstream.arrivals(), 1000) <= 11,
        "{:?}",
        upstream.arrivals()
    );
}

#[tokio::test(start_paused = true)]
async fn each_model_has_its_own_quota() {
    let limiter = Limiter::builder()
        .model("slow", Quota::new().requests_per_second(1))
        .model("fast", Quota::new().requests_per_second(10))
        .guard(ms(0))
        .build();
    let upstream = Upstream::answering(|_| ok());
    let service = service(&limiter, &upstream);
    let began = Instant::now();
    let slow: Vec<_> = (0..3).map(|_| send(&service, chat("slow", 10))).collect();
    let fast: Vec<_> = (0..11).map(|_| send(&service, chat("fast", 10))).collect();
    for task in fast {
        task.await.unwrap().unwrap();
    }
    assert_eq!(began.elapsed().as_millis(), 1000);
    for task in slow {
        task.await.unwrap().unwrap();
    }
    assert_eq!(began.elapsed().as_millis(), 2000);
}

#[tokio::test(start_paused = true)]
async fn a_model_without_a_quota_passes() {
    let limiter = Limiter::builder()
        .model("slow", Quota::new().requests_per_second(1))
        .build();
    let upstream = Upstream::answering(|_| ok());
    let service = service(&limiter, &upstream);
    for _ in 0..100 {
        send(&service, chat("other", 10)).await.unwrap().unwrap();
    }
    assert!(upstream.arrivals().iter().all(|at| *at == 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_only_observed_passes() {
    let limiter = Limiter::builder()
        .default_quota(Quota::new().requests_per_second(1))
        .observe_only(true)
        .build();
    assert!(arrivals(&limiter, 30).await.iter().all(|at| *at == 0));
    assert_eq!(limiter.snapshot()[0].limits[0].used, 30);
}

#[tokio::test(start_paused = true)]
async fn idleness_does_not_save_up_more_than_the_burst() {
    let limiter = Limiter::builder()
        .default_quota(Quota::new().requests_per_minute(600))
        .guard(ms(0))
        .build();
    pass(600_000).await;
    assert_eq!(most_in(&arrivals(&limiter, 200).await, 1), 60);
}

#[tokio::test(start_paused = true)]
async fn a_window_shorter_than_a_timer_tick_still_ends() {
    let quota = Quota::new()
        .limit(Unit::Requests, u64::MAX, Duration::ZERO)
        .limit(Unit::Tokens, 1, Duration::MAX);
    assert_eq!(arrivals(&Limiter::new(quota), 20).await.len(), 20);
}
