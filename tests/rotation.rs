//! What several accounts give, through the layers as users stack them, on tokio's clock.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "each test uses a part of it")]
mod studio;

use std::time::Duration;

use fallback_layer::{Candidate, FallbackLayer};
use futures_util::stream::{self, StreamExt};
use http::{Request, Response, StatusCode};
use key_rotation_layer::{KeyPool, KeyRotationLayer};
use model_studio_sim::Limits;
use rate_limit_layer::{Limiter, Quota, RateLimitLayer};
use retry_429_layer::Retry429Layer;
use test_support::UpstreamError;
use tokio::time::{self, Instant};
use tower::limit::ConcurrencyLimit;
use tower::{Service, ServiceBuilder, ServiceExt};

use crate::studio::{Body, Studio, chat};

const SECOND: Duration = Duration::from_secs(1);
const MAX: &str = "qwen3-max";

/// `fallback → retry-429 → key-rotation → rate-limit → upstream`, with one model.
fn stack<S>(
    pool: &KeyPool,
    limiter: &Limiter,
    upstream: S,
) -> impl Service<Request<Body>, Response = Response<impl Sized>, Error = UpstreamError, Future: Send>
+ Clone
where
    S: Service<Request<Body>, Response = Response<Body>, Error = UpstreamError> + Clone + Send,
    S::Future: Send,
{
    ServiceBuilder::new()
        .layer(FallbackLayer::new([Candidate::model(MAX)]))
        .layer(Retry429Layer::new())
        .layer(KeyRotationLayer::new(pool.clone()).headroom(limiter.clone()))
        .layer(RateLimitLayer::new(limiter.clone()))
        .service(upstream)
}

/// Pools and studios of so many accounts, `a0`, `a1` and on, each with one key.
fn accounts(names: &[&'static str], limits: &Limits) -> (KeyPool, Studio) {
    let mut pool = KeyPool::builder();
    let mut studio = Studio::new();
    for &name in names {
        let key = format!("sk-{name}");
        pool = pool.account(name, [key.clone()]);
        studio = studio.key(name, &key).limits(name, MAX, limits.clone());
    }
    (pool.build().unwrap(), studio)
}

/// Sends `count` chats, so many at a time; how many were answered.
async fn send_all<S, R>(service: &S, count: usize, at_once: usize) -> usize
where
    S: Service<Request<Body>, Response = Response<R>, Error = UpstreamError> + Clone,
{
    let requests = (0..count).map(|_| service.clone().oneshot(chat(MAX)));
    let answers = stream::iter(requests).buffer_unordered(at_once);
    answers
        .filter(|answer| {
            std::future::ready(
                answer
                    .as_ref()
                    .is_ok_and(|answer| answer.status() == StatusCode::OK),
            )
        })
        .count()
        .await
}

#[tokio::test(start_paused = true)]
async fn throughput_grows_linearly_with_accounts() {
    const NAMES: [&str; 10] = ["a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8", "a9"];
    const WARM_UP: Duration = Duration::from_secs(60);
    const MEASURED: Duration = Duration::from_secs(60);
    let mut one = 0.0;
    for n in [1, 3, 5, 10] {
        let (pool, studio) = accounts(&NAMES[..n], &Limits::per_minute(600).per_second(10));
        let quota = Quota::new()
            .requests_per_minute(600)
            .requests_per_second(10);
        let limiter = Limiter::builder().default_quota(quota).build();
        let service = stack(&pool, &limiter, studio.upstream());
        let load = send_all(&service, usize::MAX, 50 * n);
        assert!(
            time::timeout(WARM_UP + MEASURED, load).await.is_err(),
            "the load does not end"
        );
        let seen = studio.seen();
        let answered = seen
            .iter()
            .filter(|sent| !sent.refused && sent.at >= WARM_UP)
            .count();
        #[allow(clippy::cast_precision_loss, reason = "small")]
        let rate = answered as f64 / n as f64;
        if n == 1 {
            one = rate;
        }
        println!(
            "{n} accounts: {answered} requests in {} s, {:.4} of linear",
            MEASURED.as_secs(),
            rate / one
        );
        assert!(
            (rate / one - 1.0).abs() < 0.01,
            "{n} accounts: {rate} against {one}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn exhausted_revoked_and_good_answer_a_thousand_of_a_thousand() {
    let pool = KeyPool::builder()
        .account("exhausted", ["sk-e1", "sk-e2"])
        .account("revoked", ["sk-r1"])
        .account("good", ["sk-g1"])
        .build()
        .unwrap();
    let studio = Studio::new()
        .key("exhausted", "sk-e1")
        .key("exhausted", "sk-e2")
        .overdue("exhausted")
        .key("good", "sk-g1")
        .limits("good", MAX, Limits::per_minute(600).per_second(10));
    let quota = Quota::new()
        .requests_per_minute(600)
        .requests_per_second(10);
    let limiter = Limiter::builder().default_quota(quota).build();
    let service = stack(&pool, &limiter, studio.upstream());

    assert_eq!(send_all(&service, 1000, 50).await, 1000);
    let seen = studio.seen();
    let of = |key: &str| seen.iter().filter(|sent| sent.key == key).count();
    assert_eq!(of("sk-r1"), 1);
    assert_eq!(of("sk-e1") + of("sk-e2"), 1);
    assert_eq!(
        seen.iter()
            .filter(|sent| sent.key == "sk-g1" && !sent.refused)
            .count(),
        1000
    );
}

const REFUSING: Duration = Duration::from_millis(30);

/// Sixty-four in flight at any time, most of them waiting, while one account in five seconds is refused at
/// random and cools: the key of `a` is revoked, and sent no more once that was heard. The client below
/// takes so many requests at once.
async fn revoke_one_of_several(run: usize, at_once: usize) {
    let names = &["a", "b", "c"][..2 + run % 2];
    let (pool, studio) = accounts(names, &Limits::per_minute(600).per_second(10));
    let one_in = [0, 5, 20][run % 3];
    let studio = studio.refusing(REFUSING).moody(one_in, run as u64);
    let quota = Quota::new()
        .requests_per_minute(600)
        .requests_per_second(10);
    let limiter = Limiter::builder().default_quota(quota).build();
    let client = ConcurrencyLimit::new(studio.upstream(), at_once);
    let service = stack(&pool, &limiter, client);

    let revoked = studio.clone();
    let revoking = async {
        time::sleep(Duration::from_millis(3000 + 77 * run as u64)).await;
        revoked.revoke("sk-a");
    };
    let (answered, ()) = tokio::join!(send_all(&service, 300, 64), revoking);
    assert_eq!(answered, 300, "run {run}");
    let seen = studio.seen();
    let of_a = || seen.iter().filter(|sent| sent.key == "sk-a");
    let heard = of_a().find(|sent| sent.invalid).unwrap().at + REFUSING;
    let after: Vec<_> = of_a().filter(|sent| sent.at > heard).collect();
    assert_eq!(
        after,
        Vec::<&studio::Sent>::new(),
        "run {run}, {at_once} at once: heard at {heard:?}"
    );
    // It was in use until then, and the others were in trouble after.
    assert!(of_a().filter(|sent| !sent.refused).count() > 1, "run {run}");
}

/// Most of them wait in the queues of the limiter.
#[tokio::test(start_paused = true)]
async fn nothing_is_sent_with_a_revoked_key_after_its_first_answer() {
    for run in 0..12 {
        revoke_one_of_several(run, 1000).await;
    }
}

/// The limiter has let them go, and they wait for the client below it.
#[tokio::test(start_paused = true)]
async fn nothing_is_sent_with_a_revoked_key_that_waited_for_a_busy_client() {
    for run in 0..12 {
        revoke_one_of_several(run, [1, 4, 8][run % 3]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn requests_queued_on_one_account_move_when_it_freezes() {
    // What we believe of both accounts is the same; `a` is cut to a few requests a minute.
    let (pool, studio) = accounts(&["a", "b"], &Limits::per_minute(600).per_second(10));
    let studio = studio.limits("a", MAX, Limits::per_minute(20));
    let quota = Quota::new()
        .requests_per_minute(600)
        .requests_per_second(10);
    let limiter = Limiter::builder().default_quota(quota).build();
    let service = stack(&pool, &limiter, studio.upstream());

    let start = Instant::now();
    assert_eq!(send_all(&service, 100, 100).await, 100);
    // Twenty go on `a`, eighty on `b` at ten a second; who had queued on `a` does not wait out its minute.
    assert!(start.elapsed() < 12 * SECOND, "{:?}", start.elapsed());
    let refused = studio.seen().iter().filter(|sent| sent.refused).count();
    assert!(refused <= 10, "{refused}");
}

#[tokio::test(start_paused = true)]
async fn when_all_cool_the_caller_waits_for_the_first_and_is_answered() {
    // Refused at random in one of three, with no limiter: the pool cools them, and retry waits.
    let (pool, studio) = accounts(&["a", "b"], &Limits::per_minute(60_000).per_second(1000));
    let studio = studio.moody(3, 11);
    let service = ServiceBuilder::new()
        .layer(Retry429Layer::new())
        .layer(KeyRotationLayer::new(pool))
        .service(studio.upstream());
    let start = Instant::now();
    for _ in 0..40 {
        let response = service.clone().oneshot(chat(MAX)).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }
    let refused = studio.seen().iter().filter(|sent| sent.refused).count();
    assert!(refused > 10, "{refused}");
    assert!(
        start.elapsed() > 21 * SECOND,
        "somebody waited: {:?}",
        start.elapsed()
    );
}
