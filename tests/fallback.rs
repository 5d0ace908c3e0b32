//! What a chain of models gives, through the layers as users stack them, on tokio's clock.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "each test uses a part of it")]
mod studio;

use std::collections::BTreeMap;
use std::time::Duration;

use fallback_layer::{Candidate, Fallback, FallbackLayer};
use futures_util::stream::{self, StreamExt};
use http::StatusCode;
use http_body_util::BodyExt;
use key_rotation_layer::{KeyPool, KeyRotation, KeyRotationLayer};
use model_studio_sim::Limits;
use rate_limit_layer::{Limiter, Quota, RateLimit, RateLimitLayer};
use retry_429_layer::{Retry429, Retry429Layer};
use throttle_signal::Trail;
use tokio::time::{self, Instant};
use tower::limit::ConcurrencyLimit;
use tower::{ServiceBuilder, ServiceExt};

use crate::studio::{Studio, chat};

const SECOND: Duration = Duration::from_secs(1);
const CHAIN: [(&str, u64); 4] = [
    ("qwen3-max", 600),
    ("qwen3-max-2025-09-23", 60),
    ("qwen-plus", 600),
    ("qwen-turbo", 600),
];

fn studio() -> Studio {
    CHAIN
        .iter()
        .fold(Studio::new().key("a", "sk-a"), |studio, &(model, rpm)| {
            studio.limits("a", model, Limits::per_minute(rpm).per_second(rpm / 60))
        })
}

fn limiter() -> Limiter {
    let quota = |rpm: u64| {
        Quota::new()
            .requests_per_minute(rpm)
            .requests_per_second(rpm / 60)
    };
    CHAIN
        .iter()
        .fold(Limiter::builder(), |limiter, &(model, rpm)| {
            limiter.model(model, quota(rpm))
        })
        .build()
}

/// The layers over a client, with one account.
fn stack<const N: usize, S>(
    candidates: [Candidate; N],
    client: S,
) -> Fallback<Retry429<KeyRotation<RateLimit<S>>>> {
    let limiter = limiter();
    let pool = KeyPool::builder().account("a", ["sk-a"]).build().unwrap();
    ServiceBuilder::new()
        .layer(FallbackLayer::new(candidates))
        .layer(Retry429Layer::new())
        .layer(KeyRotationLayer::new(pool).headroom(limiter.clone()))
        .layer(RateLimitLayer::new(limiter))
        .service(client)
}

#[tokio::test(start_paused = true)]
async fn each_model_is_filled_before_the_next_is_used() {
    const MINUTES: u32 = 5;
    let studio = studio();
    let candidates = CHAIN.map(|(model, _)| Candidate::model(model).patience(SECOND));
    let service = stack(candidates, studio.upstream());

    // Twice the first model's quota, evenly.
    let start = Instant::now();
    let requests = (0..1200 * MINUTES).map(|n| {
        let service = service.clone();
        async move {
            time::sleep_until(start + n * Duration::from_millis(50)).await;
            let response = service.oneshot(chat(CHAIN[0].0)).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            let trail = response.extensions().get::<Trail>().unwrap();
            assert_eq!(trail.model, trail.candidate);
            assert_eq!(
                response.headers()["x-fallback-candidate"],
                trail.model.as_deref().unwrap()
            );
            trail.model.clone().unwrap()
        }
    });
    let reported: Vec<_> = stream::iter(requests)
        .buffer_unordered(10_000)
        .collect()
        .await;
    let mut by_model = BTreeMap::new();
    for model in &reported {
        *by_model.entry(model.to_string()).or_insert(0_u64) += 1;
    }
    println!("{by_model:?}");
    let seen = studio.seen();
    for (model, count) in &by_model {
        let answered = seen
            .iter()
            .filter(|sent| sent.model == *model && !sent.refused)
            .count() as u64;
        assert_eq!(answered, *count, "{model}: the real one is reported");
    }
    let share = |model: &str, rpm: u64| {
        let count = by_model.get(model).copied().unwrap_or(0);
        #[allow(clippy::cast_precision_loss, reason = "small")]
        let share = count as f64 / (rpm * u64::from(MINUTES)) as f64;
        share
    };
    assert!(share("qwen3-max", 600) >= 0.93, "{by_model:?}");
    assert!(share("qwen3-max-2025-09-23", 60) >= 0.80, "{by_model:?}");
    assert!(share("qwen-plus", 600) >= 0.80, "{by_model:?}");
    assert!(share("qwen-turbo", 600) < 0.15, "{by_model:?}");
}

#[tokio::test(start_paused = true)]
async fn patience_is_about_the_wait_and_never_about_the_answer() {
    let studio = studio().latency(30 * SECOND);
    let candidates = [
        Candidate::model("qwen3-max").patience(2 * SECOND),
        Candidate::model("qwen-plus"),
    ];
    let service = stack(candidates, studio.upstream());

    // Within the quota: every answer takes 30 s, none is left.
    let start = Instant::now();
    let send = || async {
        let response = service.clone().oneshot(chat("qwen3-max")).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response.headers()["x-fallback-candidate"]
            .to_str()
            .unwrap()
            .to_owned()
    };
    for model in futures_util::future::join_all((0..10).map(|_| send())).await {
        assert_eq!(model, "qwen3-max");
    }
    assert!(start.elapsed() < 33 * SECOND, "{:?}", start.elapsed());

    // Five seconds' worth at once: what would wait for more than two falls back, and at once.
    time::advance(60 * SECOND).await;
    let before = studio.seen().len();
    let models = futures_util::future::join_all((0..50).map(|_| send())).await;
    let on_first = models.iter().filter(|model| *model == "qwen3-max").count();
    println!("{on_first} of 50 waited up to 2 s");
    assert!((15..=30).contains(&on_first), "{on_first}");
    let burst = &studio.seen()[before..];
    let arrivals = |model: &'static str| {
        burst
            .iter()
            .filter(move |sent| sent.model == model)
            .map(|sent| sent.at)
    };
    assert!(arrivals("qwen3-max").max().unwrap() <= burst[0].at + Duration::from_millis(2100));
    assert!(arrivals("qwen-plus").max().unwrap() <= burst[0].at + Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn a_model_whose_accounts_all_cool_is_left_without_spending_a_benched_key() {
    // Nobody paces: the pool alone knows that both accounts refuse the first model for a minute.
    let per_minute = |studio: Studio, account, key| {
        studio
            .key(account, key)
            .limits(account, "qwen3-max", Limits::per_minute(3))
    };
    let studio = per_minute(per_minute(Studio::new(), "a", "sk-a"), "b", "sk-b");
    let pool = KeyPool::builder()
        .account("a", ["sk-a"])
        .account("b", ["sk-b"])
        .build()
        .unwrap();
    let service = ServiceBuilder::new()
        .layer(FallbackLayer::new([
            Candidate::model("qwen3-max"),
            Candidate::model("qwen-plus"),
        ]))
        .layer(Retry429Layer::new())
        .layer(KeyRotationLayer::new(pool))
        .service(studio.upstream());
    for _ in 0..30 {
        let response = service.clone().oneshot(chat("qwen3-max")).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }
    let refused = studio.seen().iter().filter(|sent| sent.refused).count();
    println!("{refused} refused");
    // Five probes an account, after 1, 2, 4, 8 and 16 s; no discovery for each request.
    assert!(refused <= 10, "{refused}");
    let of = |model: &str| {
        studio
            .seen()
            .iter()
            .filter(|sent| sent.model == model && !sent.refused)
            .count()
    };
    assert_eq!((of("qwen3-max"), of("qwen-plus")), (6, 24));
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_attempt_is_settled_below() {
    let studio = studio().latency(30 * SECOND);
    let quota = Quota::new().tokens_per_minute(100_000);
    let limiter = Limiter::builder().default_quota(quota).build();
    let pool = KeyPool::builder().account("a", ["sk-a"]).build().unwrap();
    let service = ServiceBuilder::new()
        .layer(FallbackLayer::new([
            Candidate::model("qwen3-max").first_byte(3 * SECOND),
            Candidate::model("qwen-plus"),
        ]))
        .layer(Retry429Layer::new())
        .layer(KeyRotationLayer::new(pool.clone()).headroom(limiter.clone()))
        .layer(RateLimitLayer::new(limiter.clone()))
        .service(studio.upstream());
    let of = |model: &str| {
        let snapshot = limiter.snapshot();
        let found = snapshot
            .into_iter()
            .find(|it| it.model.as_deref() == Some(model));
        found.map(|it| (it.in_flight, it.limits[0].used))
    };
    let answer = tokio::spawn(service.oneshot(chat("qwen3-max")));
    time::sleep(SECOND).await;
    let (in_flight, estimate) = of("qwen3-max").unwrap();
    assert_eq!(in_flight, 1);
    assert!(estimate > 0);
    time::sleep(3 * SECOND).await;
    // It is with the next one, and what the first may have used is counted.
    assert_eq!(of("qwen3-max"), Some((0, estimate)));
    assert_eq!(of("qwen-plus"), Some((1, estimate)));
    assert_eq!(pool.snapshot()[0].in_flight, 1);
    let answer = answer.await.unwrap().unwrap();
    assert_eq!(answer.headers()["x-fallback-candidate"], "qwen-plus");
    drop(answer.into_body().collect().await.unwrap());
    assert_eq!(of("qwen-plus").unwrap().0, 0);
    assert_eq!(pool.snapshot()[0].in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn patience_ends_the_wait_for_a_busy_client_too() {
    // Five at a time, and half a minute each: the rest waits here, before a key is taken or after.
    let studio = studio().latency(30 * SECOND);
    let candidates = [
        Candidate::model("qwen3-max").patience(2 * SECOND),
        Candidate::model("qwen-plus"),
    ];
    let service = stack(candidates, ConcurrencyLimit::new(studio.upstream(), 5));
    let answers = (0..20).map(|_| service.clone().oneshot(chat("qwen3-max")));
    let answers = futures_util::future::join_all(answers).await;
    assert!(
        answers
            .iter()
            .all(|it| it.as_ref().unwrap().status() == StatusCode::OK)
    );
    let last_on = |model: &str| {
        let seen = studio.seen();
        let sent = seen.iter().filter(|sent| sent.model == model);
        sent.map(|sent| sent.at).max().unwrap()
    };
    assert!(last_on("qwen3-max") <= Duration::from_millis(2002));
    assert!(last_on("qwen-plus") >= 30 * SECOND);
}
