//! Requests whose turn has come and whose service below is not ready yet.

use std::mem::replace;
use std::time::Duration;

use http::{Request, StatusCode};
use rate_limit_layer::{Limiter, Quota, RateLimit, RateLimitLayer};
use test_support::{Answer, Upstream, ok};
use throttle_signal::{Classified, Fingerprint, Headroom, Origin, RequestFacts, Trail};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_test::{assert_pending, assert_ready, task};
use tower::limit::ConcurrencyLimit;
use tower::{ServiceBuilder, ServiceExt};

use crate::support::{Answered, Body, ms, pass, request};

/// One request at a time, and each answer but the first takes a minute.
fn service(limiter: &Limiter, upstream: &Upstream) -> RateLimit<ConcurrencyLimit<Upstream>> {
    ServiceBuilder::new()
        .layer(RateLimitLayer::new(limiter.clone()))
        .concurrency_limit(1)
        .service(upstream.clone())
}

fn slow() -> Upstream {
    let mut latency = ms(0);
    Upstream::answering(move |_| Answer::from(ok()).after(replace(&mut latency, ms(60_000))))
}

fn limiter() -> Limiter {
    Limiter::builder()
        .default_quota(Quota::new().requests_per_second(1))
        .guard(ms(0))
        .build()
}

fn with(key: &str, start_by: Option<Duration>) -> Request<Body> {
    let now = Instant::now();
    let mut request = request();
    let mut facts = RequestFacts::new(now);
    facts.set_account(Some("a".into()), Some(Fingerprint::new(key)));
    if let Some(start_by) = start_by {
        facts.lower_start_by(now + start_by);
    }
    request.extensions_mut().insert(facts);
    request
}

fn recall(limiter: &Limiter, key: &str) {
    limiter.recall(&"a".into(), Some(&Fingerprint::new(key)), None);
}

fn waiting(limiter: &Limiter) -> (usize, usize) {
    let snapshot = &limiter.snapshot()[0];
    (snapshot.waiting, snapshot.in_flight)
}

/// The quota of the first second is used up, and `first` is sent a second later; those called now have
/// their turns after it, while the service is busy with it for a minute.
async fn used_up(service: &RateLimit<ConcurrencyLimit<Upstream>>) -> JoinHandle<Answered> {
    service.clone().oneshot(with("k1", None)).await.unwrap();
    let first = tokio::spawn(service.clone().oneshot(with("k1", None)));
    pass(1).await;
    first
}

#[tokio::test(start_paused = true)]
async fn one_is_called_back_at_once() {
    let (limiter, upstream) = (limiter(), slow());
    let service = service(&limiter, &upstream);
    let first = used_up(&service).await;
    let second = tokio::spawn(service.clone().oneshot(with("k1", None)));
    pass(1).await;
    let third = tokio::spawn(service.clone().oneshot(with("k2", None)));
    pass(2500).await;
    assert_eq!(waiting(&limiter), (2, 1)); // their turns have come, and they hold nothing

    let began = Instant::now();
    recall(&limiter, "k3");
    recall(&limiter, "k1");
    let response = second.await.unwrap().unwrap();
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    let extensions = response.extensions();
    assert_eq!(extensions.get::<Trail>().unwrap().attempts, 0);
    let throttle = Classified::throttle(extensions).unwrap();
    assert_eq!(throttle.origin(), Origin::Limiter);
    assert_eq!(waiting(&limiter), (1, 1));
    // The first one is sent: there is nothing to call back.
    assert_eq!(first.await.unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!(third.await.unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!(upstream.arrivals(), [0, 1000, 61_000]);
}

#[tokio::test(start_paused = true)]
async fn one_called_back_just_before_the_service_is_ready_is_not_sent() {
    let (limiter, upstream) = (limiter(), slow());
    let service = service(&limiter, &upstream);
    let first = used_up(&service).await;
    let mut second = task::spawn(service.clone().oneshot(with("k2", None)));
    assert_pending!(second.poll());
    pass(2500).await;
    assert_pending!(second.poll()); // its turn
    first.await.unwrap().unwrap();
    assert!(second.is_woken());
    recall(&limiter, "k2");
    let response = assert_ready!(second.poll()).unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(waiting(&limiter), (0, 0));
    // What was made ready for it is free.
    assert_pending!(task::spawn(service.oneshot(with("k1", None))).poll());
    assert_eq!(upstream.arrivals(), [0, 1000, 61_000]);
}

#[tokio::test(start_paused = true)]
async fn one_is_not_sent_after_its_time() {
    let (limiter, upstream) = (limiter(), slow());
    let service = service(&limiter, &upstream);
    let first = used_up(&service).await;
    let began = Instant::now();
    let late = service.clone().oneshot(with("k1", Some(ms(5000))));
    let response = late.await.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    let elapsed = began.elapsed();
    assert!((5000..=5002).contains(&elapsed.as_millis()), "{elapsed:?}");
    assert_eq!(waiting(&limiter), (0, 1));
    first.await.unwrap().unwrap();
    assert_eq!(upstream.arrivals(), [0, 1000]);
}

#[tokio::test(start_paused = true)]
async fn one_whose_caller_comes_back_too_late_is_not_sent() {
    let (limiter, upstream) = (limiter(), slow());
    let service = service(&limiter, &upstream);
    let first = used_up(&service).await;
    let mut forgotten = task::spawn(service.clone().oneshot(with("k1", Some(ms(5000)))));
    assert_pending!(forgotten.poll());
    pass(2500).await;
    assert_pending!(forgotten.poll()); // its turn
    first.await.unwrap().unwrap();
    let response = assert_ready!(forgotten.poll()).unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(upstream.arrivals(), [0, 1000]);
}

#[tokio::test(start_paused = true)]
async fn those_dropped_leave_nothing_behind() {
    let (limiter, upstream) = (limiter(), slow());
    let service = service(&limiter, &upstream);
    let first = used_up(&service).await;
    let mut those: Vec<_> = (0..3)
        .map(|_| task::spawn(service.clone().oneshot(with("k1", Some(ms(9000))))))
        .collect();
    for one in &mut those {
        assert_pending!(one.poll());
    }
    for (left, mut dropped) in (0..3).rev().zip(those) {
        pass(2500).await;
        assert_pending!(dropped.poll()); // its turn
        assert_eq!(waiting(&limiter), (left + 1, 1));
        drop(dropped);
        recall(&limiter, "k3");
        assert_eq!(waiting(&limiter), (left, 1));
    }
    first.await.unwrap().unwrap();
    pass(60_000).await;
    limiter.sweep();
    assert!(limiter.snapshot().is_empty());
}
