//! Requests that cannot wait for ever.

use std::time::Duration;

use http::{Request, StatusCode};
use rate_limit_layer::{Charging, Limiter, Quota, RateLimitLayer};
use test_support::{Upstream, ok, throttled_for};
use throttle_signal::{
    Classified, Deadline, Envelope, Fingerprint, Headroom, Kind, Origin, RequestFacts, StartBy,
    Throttle, Wait,
};
use tokio::time::Instant;
use tower::{Layer, ServiceExt};

use crate::support::{Answered, Body, ms, pass, request, send, service};

fn limiter() -> Limiter {
    Limiter::builder()
        .default_quota(Quota::new().requests_per_second(1))
        .guard(ms(0))
        .build()
}

fn start_by(after: Duration) -> Request<Body> {
    let mut request = request();
    request
        .extensions_mut()
        .insert(StartBy(Instant::now() + after));
    request
}

fn throttle(answered: Answered) -> Throttle {
    let response = answered.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    Classified::throttle(response.extensions()).unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_with_a_key_are_called_back_and_the_others_go() {
    let upstream = Upstream::answering(|_| ok());
    let limiter = limiter();
    let service = service(&limiter, &upstream);
    let with = |key: &str| {
        let mut request = request();
        let mut facts = RequestFacts::new(Instant::now());
        facts.set_account(Some("a".into()), Some(Fingerprint::new(key)));
        request.extensions_mut().insert(facts);
        request
    };
    let requests = ["k1", "k1", "k2", "k1", "k2"].map(|key| send(&service, with(key)));
    pass(1).await;
    limiter.recall(&"b".into(), None, None);
    limiter.recall(&"a".into(), None, Some("another model"));
    limiter.recall(&"a".into(), Some(&Fingerprint::new("k1")), None);
    let began = Instant::now();
    let mut answers = Vec::new();
    for request in requests {
        answers.push(request.await.unwrap().unwrap().status().as_u16());
    }
    assert_eq!(answers, [200, 429, 200, 429, 200]);
    assert!(began.elapsed() < ms(2100), "{:?}", began.elapsed());
    assert_eq!(upstream.arrivals(), [0, 1000, 2000]);
}

#[tokio::test(start_paused = true)]
async fn who_is_called_back_when_its_turn_has_come_leaves_it_to_the_next_at_once() {
    let upstream = Upstream::answering(|_| ok());
    let limiter = limiter();
    let service = service(&limiter, &upstream);
    let with = |key: &str| {
        let mut request = request();
        let mut facts = RequestFacts::new(Instant::now());
        facts.set_account(Some("a".into()), Some(Fingerprint::new(key)));
        request.extensions_mut().insert(facts);
        request
    };
    send(&service, with("k2")).await.unwrap().unwrap();
    let mut called = tokio_test::task::spawn(service.clone().oneshot(with("k1")));
    tokio_test::assert_pending!(called.poll());
    let next = send(&service, with("k2"));
    pass(1000).await;
    tokio::task::yield_now().await;
    assert!(called.is_woken());
    limiter.recall(&"a".into(), Some(&Fingerprint::new("k1")), None);
    next.await.unwrap().unwrap();
    assert_eq!(upstream.arrivals(), [0, 1000]);
}

/// The first one waits for tokens, and the second one only for the first one.
#[tokio::test(start_paused = true)]
async fn who_is_called_back_leaves_the_way_to_the_next_at_once() {
    let quota = Quota::new().tokens_per_minute(1000).allow_bursts();
    let limiter = Limiter::builder()
        .default_quota(quota.charging(Charging::MaxUpFront))
        .guard(ms(0))
        .build();
    let upstream = Upstream::answering(|_| ok());
    let service = service(&limiter, &upstream);
    let with = |key: &str, most: u64| {
        let body = format!(r#"{{"model":"m","max_tokens":{most}}}"#);
        let mut request = Request::new(Body::from(body));
        let mut facts = RequestFacts::ensure(&mut request, Instant::now());
        facts.set_account(Some("a".into()), Some(Fingerprint::new(key)));
        request.extensions_mut().insert(facts);
        request
    };
    send(&service, with("k2", 700)).await.unwrap().unwrap();
    let mut large = tokio_test::task::spawn(service.clone().oneshot(with("k1", 700)));
    tokio_test::assert_pending!(large.poll());
    let small = send(&service, with("k2", 100));
    pass(100).await;
    assert_eq!(upstream.arrivals(), [0]);
    limiter.recall(&"a".into(), Some(&Fingerprint::new("k1")), None);
    small.await.unwrap().unwrap();
    assert_eq!(upstream.arrivals(), [0, 100]);
    throttle(tokio_test::assert_ready!(large.poll()));
}

#[tokio::test(start_paused = true)]
async fn a_wait_beyond_it_is_refused_at_once_with_the_wait() {
    let upstream = Upstream::answering(|_| ok());
    let service = service(&limiter(), &upstream);
    send(&service, request()).await.unwrap().unwrap();
    let waiting = send(&service, request());
    pass(1).await;

    let began = Instant::now();
    let throttle = throttle(send(&service, start_by(ms(1500))).await.unwrap());
    assert_eq!(began.elapsed(), Duration::ZERO);
    let Wait::Stated(wait) = throttle.wait() else {
        panic!("{throttle:?}")
    };
    assert!((1990..=1999).contains(&wait.as_millis()), "{wait:?}");
    assert!(throttle.retry());
    assert_eq!(
        (throttle.kind(), throttle.origin()),
        (Kind::RequestRate, Origin::Limiter)
    );
    assert!(!throttle.paced()); // it is not kept here, so coming back at once is wrong
    waiting.await.unwrap().unwrap();
    assert_eq!(upstream.arrivals().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_wait_within_it_is_waited() {
    let upstream = Upstream::answering(|_| ok());
    let service = service(&limiter(), &upstream);
    send(&service, request()).await.unwrap().unwrap();
    let response = send(&service, start_by(ms(1000))).await.unwrap().unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(upstream.arrivals(), [0, 1000]);
}

#[tokio::test(start_paused = true)]
async fn who_has_a_deadline_is_told_not_to_come_back() {
    let upstream = Upstream::answering(|_| ok());
    let service = service(&limiter(), &upstream);
    send(&service, request()).await.unwrap().unwrap();
    let mut late = request();
    late.extensions_mut()
        .insert(Deadline(Instant::now() + ms(300)));
    assert!(!throttle(send(&service, late).await.unwrap()).retry());
    assert_eq!(upstream.arrivals().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_whose_time_has_passed_is_not_sent() {
    let upstream = Upstream::silent();
    let service = service(&limiter(), &upstream);
    send(&service, start_by(ms(0))).await.unwrap_err(); // the upstream expects none: so far it is in time
    let late = start_by(ms(0));
    pass(5).await;
    throttle(send(&service, late).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_handed_back_when_a_refusal_makes_it_too_late() {
    let mut count = 0;
    let upstream = Upstream::answering(move |_| {
        count += 1;
        if count == 2 { throttled_for(30) } else { ok() }
    });
    let service = service(&limiter(), &upstream);
    send(&service, request()).await.unwrap().unwrap();
    let refused = send(&service, request());
    pass(10).await;
    let patient = send(&service, start_by(ms(60_000)));
    let impatient = send(&service, start_by(ms(10_000)));
    refused.await.unwrap().unwrap();

    let began = Instant::now();
    let throttle = throttle(impatient.await.unwrap());
    assert!(began.elapsed() < ms(5), "{:?}", began.elapsed());
    assert!(
        throttle
            .wait()
            .stated()
            .is_some_and(|wait| wait > ms(29_900)),
        "{throttle:?}"
    );
    patient.await.unwrap().unwrap();
    assert!(
        upstream.arrivals()[2] >= 31_000 - 2,
        "{:?}",
        upstream.arrivals()
    );
}

#[tokio::test(start_paused = true)]
async fn who_was_forgotten_by_its_caller_is_handed_back_when_it_returns() {
    let upstream = Upstream::answering(|_| ok());
    let service = service(&limiter(), &upstream);
    send(&service, request()).await.unwrap().unwrap();
    let mut forgotten = tokio_test::task::spawn(service.clone().oneshot(start_by(ms(1500))));
    tokio_test::assert_pending!(forgotten.poll());
    pass(10_000).await;
    throttle(tokio_test::assert_ready!(forgotten.poll()));
    assert_eq!(upstream.arrivals().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_put_as_the_user_puts_it() {
    let envelope = Envelope::with_fn(|throttle| {
        let mut response = http::Response::new(bytes::Bytes::from(throttle.kind().as_str()));
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response
    });
    let layer = RateLimitLayer::new(limiter()).envelope(envelope);
    let service = layer.layer(Upstream::answering(|_| ok()));
    service.clone().oneshot(request()).await.unwrap();
    let response = service.oneshot(start_by(ms(1))).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key("retry-after-ms"));
}
