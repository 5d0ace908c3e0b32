//! What an instance asks of the store, and how often, in virtual time.

use std::time::Duration;

use http::Response;
use http_body_util::BodyExt;
use rate_limit_layer::shared::{LocalStore, SharedStore, StoreStats};
use rate_limit_layer::{Limiter, Quota, RateLimit};
use serde_json::json;
use test_support::{Upstream, json, ok, throttled};
use throttle_signal::{Classified, Kind, Throttle, Wait};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tower::ServiceExt;

use crate::support::{Body, chat, ms, pass, service};

/// An instance whose every answer says that 100 tokens were used.
fn join(local: &LocalStore, quota: Quota) -> (SharedStore, RateLimit<Upstream>) {
    let usage = json!({"usage": {"prompt_tokens": 60, "completion_tokens": 40}});
    join_with(local, quota, move || json(200, &usage))
}

fn join_with(
    local: &LocalStore,
    quota: Quota,
    answer: impl Fn() -> Response<Body> + Send + 'static,
) -> (SharedStore, RateLimit<Upstream>) {
    let (store, driver) = SharedStore::builder().join(local);
    tokio::spawn(driver);
    let limiter = Limiter::builder()
        .model("qwen3-max", quota)
        .guard(Duration::ZERO)
        .shared(store.clone())
        .build();
    let upstream = Upstream::answering(move |_| answer());
    (store, service(&limiter, &upstream))
}

/// Sends so many at once, and reads all answers.
async fn send_all(service: &RateLimit<Upstream>, size: usize) {
    let mut tasks = JoinSet::new();
    for _ in 0..size {
        tasks.spawn(service.clone().oneshot(chat("qwen3-max", 100)));
    }
    let all = async {
        while let Some(answer) = tasks.join_next().await {
            let body = answer.unwrap().unwrap().into_body();
            body.collect().await.unwrap();
        }
    };
    timeout(Duration::from_secs(600), all).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_call_at_a_time_asks_for_all_who_wait() {
    let local = LocalStore::new();
    local.set_latency(ms(50));
    let quota = Quota::new().requests_per_second(1_000).allow_bursts();
    let (store, service) = join(&local, quota);
    send_all(&service, 1).await;
    let before = store.stats();
    send_all(&service, 31).await;
    let after = store.stats();
    assert_eq!(after.grants - before.grants, 31);
    // The first asks alone, and while that is under way all others come.
    let calls = after.reserve_calls - before.reserve_calls;
    assert!(calls <= 2, "{calls}");
}

#[tokio::test(start_paused = true)]
async fn a_slot_from_far_away_is_used_though_it_comes_late() {
    for (at_first, later) in [(90, 90), (1, 90)] {
        let local = LocalStore::new();
        local.set_latency(ms(at_first));
        let (store, service) = join(&local, Quota::new().requests_per_second(1_000));
        send_all(&service, 1).await;
        local.set_latency(ms(later));
        for _ in 0..10 {
            pass(1_000).await;
            send_all(&service, 1).await;
        }
        let stats = store.stats();
        assert_eq!((stats.grants, stats.returned), (11, 0), "{stats:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_not_used_is_given_back_to_all_in_one_batch() {
    let local = LocalStore::new();
    // A request is taken for 700 tokens and uses 100.
    let quota = Quota::new().tokens_per_minute(14_000).allow_bursts();
    let (store, one) = join(&local, quota);
    let (_, other) = join(&local, quota);
    send_all(&one, 10).await;
    let before = store.stats();
    send_all(&one, 10).await;
    pass(100).await;
    let after = store.stats();
    // Also what changed elsewhere, or nothing at all, may have been told meanwhile.
    let calls = after.other_calls - before.other_calls;
    assert!((1..=4).contains(&calls), "{calls}");

    // 2000 of 14 000 are used, which leaves room for 17 estimates at once; by the first 20 of those none was left.
    let began = tokio::time::Instant::now();
    send_all(&other, 17).await;
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_is_tried_some_times_a_second_whoever_waits() {
    let local = LocalStore::new();
    let (store, service) = join(&local, Quota::new().requests_per_second(100));
    send_all(&service, 1).await;
    local.set_reachable(false);
    let count = async {
        pass(1_000).await;
        let before = store.stats().failed_calls;
        pass(10_000).await;
        store.stats().failed_calls - before
    };
    let load = async {
        loop {
            send_all(&service, 10).await;
        }
    };
    let failed = tokio::select! {
        failed = count => failed,
        () = load => unreachable!(),
    };
    // One takes its time limit, and the next follows as long after that.
    assert!((49..=51).contains(&failed), "{failed}");
}

#[tokio::test(start_paused = true)]
async fn one_who_sends_little_calls_once_a_second() {
    let local = LocalStore::new();
    let (store, service) = join(&local, Quota::new().requests_per_minute(600));
    send_all(&service, 1).await;
    pass(1_000).await;
    let before = store.stats();
    pass(10_000).await;
    let after = store.stats();
    let calls = |stats: StoreStats| stats.reserve_calls + stats.other_calls;
    let calls = calls(after) - calls(before);
    assert!((9..=11).contains(&calls), "{calls}");
}

#[tokio::test(start_paused = true)]
async fn a_quota_that_is_exhausted_for_one_is_for_all() {
    let local = LocalStore::new();
    let quota = Quota::new().requests_per_minute(600);
    let exhausted = Throttle::new(Kind::QuotaExhausted).with_wait(Wait::Stated(ms(60_000)));
    let (_one, refuses) = join_with(&local, quota, move || {
        let mut response = throttled();
        let verdict = Classified(Some(exhausted.clone()));
        response.extensions_mut().insert(verdict);
        response
    });
    let (_other, service) = join_with(&local, quota, ok);
    send_all(&service, 1).await;
    send_all(&refuses, 1).await;
    pass(2_000).await;
    let response = service.oneshot(chat("qwen3-max", 100)).await.unwrap();
    let throttle = Classified::throttle(response.extensions()).unwrap();
    assert_eq!(throttle.kind(), Kind::QuotaExhausted);
    assert!(!throttle.retry());
}
