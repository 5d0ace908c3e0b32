//! Keys and accounts that are out until somebody does something: nothing is sent to them once that is
//! known, whatever else goes on.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Request, Response, StatusCode};
use key_rotation_layer::{Account, KeyPool, KeyRotation, KeyRotationLayer, Strategy};
use throttle_signal::{AccountId, Fingerprint, Headroom, Kind, Origin, RequestFacts, Scope, Wait};
use tokio::time::{self, Instant};
use tokio_test::{assert_pending, assert_ready, assert_ready_ok, task};
use tower::Layer;
use tower_test::mock::{Handle, spawn_layer};

use crate::headroom::handed_back;
use crate::rotation::{SECOND, rate, send, service, trail, verdict};
use crate::upstream::{Body, Upstream, ok, refused, request, throttle};

fn revoked() -> Response<Body> {
    refused(throttle(Kind::Credential, Scope::Key))
}

fn pool() -> KeyPool {
    KeyPool::builder()
        .account("a", ["sk-a"])
        .account("b", ["sk-b"])
        .build()
        .unwrap()
}

fn asked(service: &KeyRotation<Upstream>, key: &str) -> usize {
    let seen = service.get_ref().seen();
    seen.iter().filter(|seen| seen.key == key).count()
}

#[tokio::test(start_paused = true)]
async fn a_revoked_key_is_left_alone_while_all_others_cool() {
    // `b` cools for three seconds of every four: whenever `a` is asked, nobody else is usable.
    let service = service(&pool(), |seen| match seen.account.as_str() {
        "a" => revoked(),
        _ if seen.at % 4 == 0 => refused(rate(Wait::Stated(3 * SECOND))),
        _ => ok(),
    });
    for _ in 0..600 {
        send(&service).await;
        time::advance(SECOND).await;
    }
    assert_eq!(asked(&service, "sk-a"), 1);
    assert!(asked(&service, "sk-b") > 100);
}

#[tokio::test(start_paused = true)]
async fn the_last_key_is_tried_again_within_a_minute() {
    let service = service(&pool(), |_| revoked());
    for _ in 0..600 {
        send(&service).await;
        time::advance(SECOND).await;
    }
    assert_eq!(asked(&service, "sk-a"), 1);
    let seen = service.get_ref().seen();
    let times: Vec<_> = seen.iter().filter(|seen| seen.key == "sk-b").collect();
    let pauses = times.windows(2).map(|pair| pair[1].at - pair[0].at);
    assert!(pauses.max().unwrap() <= 61);
    assert!(times.len() < 40, "{}", times.len());
}

#[tokio::test(start_paused = true)]
async fn a_revoked_key_is_probed_by_one_request_at_a_time_however_slow() {
    let upstream = Upstream::slow(|seen| match seen.account.as_str() {
        "a" => (5 * SECOND, revoked()),
        _ => (SECOND / 10, ok()),
    });
    let service = KeyRotationLayer::new(pool()).layer(upstream);
    send(&service).await;
    time::advance(15 * 60 * SECOND).await;
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let service = service.clone();
        callers.spawn(async move { send(&service).await.status() });
        time::sleep(SECOND / 5).await;
    }
    while let Some(status) = callers.join_next().await {
        assert_eq!(status.unwrap(), StatusCode::OK);
    }
    assert_eq!(asked(&service, "sk-a"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_replaced_account_keeps_what_is_known_of_keys_that_stay() {
    let pool = pool();
    let service = service(&pool, |seen| match seen.key.as_str() {
        "sk-a" => revoked(),
        _ => ok(),
    });
    send(&service).await;
    for weight in 2..9 {
        let account = Account::new("a").key("sk-a").weight(weight);
        pool.replace(account).unwrap();
        send(&service).await;
        send(&service).await;
    }
    assert_eq!(asked(&service, "sk-a"), 1);
    pool.replace(Account::new("a").key("sk-a").key("sk-new"))
        .unwrap();
    send(&service).await;
    send(&service).await;
    assert_eq!((asked(&service, "sk-a"), asked(&service, "sk-new")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_was_in_flight_when_an_account_was_replaced_still_counts() {
    let pool = pool();
    let upstream = Upstream::slow(|seen| match seen.key.as_str() {
        "sk-a" => (SECOND, revoked()),
        _ => (Duration::ZERO, ok()),
    });
    let service = KeyRotationLayer::new(pool.clone()).layer(upstream);
    let in_flight = tokio::spawn({
        let service = service.clone();
        async move { send(&service).await.status() }
    });
    time::sleep(SECOND / 2).await;
    pool.replace(Account::new("a").key("sk-a").weight(2))
        .unwrap();
    assert_eq!(in_flight.await.unwrap(), StatusCode::OK);
    for _ in 0..10 {
        send(&service).await;
    }
    assert_eq!(asked(&service, "sk-a"), 1);
    assert!(pool.snapshot()[0].keys[0].out.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_reset_account_is_asked_at_once() {
    let pool = pool();
    let overdue = Arc::new(Mutex::new(true));
    let bill = Arc::clone(&overdue);
    let service = service(&pool, move |seen| {
        if seen.account == "a" && *bill.lock().unwrap() {
            refused(throttle(Kind::QuotaExhausted, Scope::Account))
        } else {
            ok()
        }
    });
    for _ in 0..4 {
        send(&service).await;
    }
    assert_eq!(asked(&service, "sk-a"), 1);
    *overdue.lock().unwrap() = false;
    pool.reset(&"a".into()).unwrap();
    assert!(pool.snapshot()[0].out.is_none());
    for _ in 0..4 {
        send(&service).await;
    }
    assert_eq!(asked(&service, "sk-a"), 3);
    assert!(pool.reset(&"nobody".into()).is_err());
}

/// The key of `b` is found out by another request while a request that was to go with it next waits
/// for the service below.
#[tokio::test(start_paused = true)]
async fn a_key_found_out_while_the_service_below_makes_room_is_not_sent() {
    let pool = KeyPool::builder()
        .account("a", ["sk-a"])
        .account("b", ["sk-b"])
        .account("c", ["sk-c"])
        .build()
        .unwrap();
    let (mut service, mut inner) = spawn_layer(KeyRotationLayer::new(pool));
    let arrival = |inner: &mut Handle<Request<Body>, Response<Body>>| {
        let (request, send) = assert_ready!(task::spawn(inner.next_request()).poll()).unwrap();
        let key = request.headers()["authorization"].to_str().unwrap();
        (key.to_owned(), send)
    };
    inner.allow(2);
    let mut calls = Vec::new();
    for _ in 0..2 {
        assert_ready_ok!(service.poll_ready::<Request<Body>>());
        calls.push(task::spawn(service.call(request())));
    }
    let (first, to_first) = arrival(&mut inner);
    let (second, to_second) = arrival(&mut inner);
    assert_eq!(
        (first.as_str(), second.as_str()),
        ("Bearer sk-a", "Bearer sk-b")
    );
    // The first goes on with `c`, the second is heard of `b`.
    to_first.send_response(revoked());
    assert_pending!(calls[0].poll());
    to_second.send_response(revoked());
    assert_pending!(calls[1].poll());
    // Both wait for room to go with `c`, which the first finds out.
    inner.allow(1);
    assert_pending!(calls[0].poll());
    let (third, to_third) = arrival(&mut inner);
    assert_eq!(third, "Bearer sk-c");
    to_third.send_response(revoked());
    let answer = assert_ready_ok!(calls[0].poll());
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    inner.allow(1);
    let answer = assert_ready_ok!(calls[1].poll());
    assert_eq!(verdict(&answer).origin(), Origin::Pool);
    assert_eq!(trail(&answer).attempts, 1);
    assert_pending!(task::spawn(inner.next_request()).poll());
}

/// Holds nobody back, and notes whom it is to call back.
#[derive(Clone, Debug, Default)]
struct Recalls(Arc<Mutex<Vec<String>>>);

impl Headroom for Recalls {
    fn earliest(&self, _: &AccountId, _: &RequestFacts, now: Instant) -> Option<Instant> {
        Some(now)
    }

    fn recall(&self, account: &AccountId, key: Option<&Fingerprint>, model: Option<&str>) {
        let key = if key.is_some() { "its key" } else { "any key" };
        let model = model.unwrap_or("any model");
        self.0
            .lock()
            .unwrap()
            .push(format!("{account} {key} {model}"));
    }
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_below_are_called_back_when_it_is_out_for_long() {
    for (kind, scope, wait, recalled) in [
        (
            Kind::Credential,
            Scope::Key,
            Wait::Unknown,
            "a its key any model",
        ),
        (
            Kind::Credential,
            Scope::Account,
            Wait::Unknown,
            "a any key any model",
        ),
        (
            Kind::QuotaExhausted,
            Scope::Model,
            Wait::Unknown,
            "a any key m1",
        ),
        (Kind::RequestRate, Scope::Model, Wait::Stated(SECOND), ""),
        (Kind::Overloaded, Scope::Server, Wait::Unknown, ""),
    ] {
        let recalls = Recalls::default();
        let upstream = Upstream::new(move |seen| match seen.account.as_str() {
            "a" => refused(throttle(kind, scope).with_wait(wait)),
            _ => ok(),
        });
        let layer = KeyRotationLayer::new(pool()).headroom(recalls.clone());
        send(&layer.layer(upstream)).await;
        assert_eq!(recalls.0.lock().unwrap().join(", "), recalled, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_called_back_goes_with_another_key_or_hears_it_from_the_pool() {
    for (good, status) in [
        (true, StatusCode::OK),
        (false, StatusCode::TOO_MANY_REQUESTS),
    ] {
        let pool = KeyPool::builder()
            .strategy(Strategy::fill_first())
            .account("a", ["sk-a"])
            .account("b", ["sk-b"])
            .build()
            .unwrap();
        // As a limiter that calls the third request back once the second has found the key out.
        let count = AtomicU32::new(0);
        let upstream = Upstream::slow(move |seen| {
            if seen.account == "b" {
                let full = || refused(rate(Wait::Stated(60 * SECOND)));
                return (Duration::ZERO, if good { ok() } else { full() });
            }
            match count.fetch_add(1, Ordering::Relaxed) {
                0 => (Duration::ZERO, ok()),
                1 => (SECOND, revoked()),
                _ => (2 * SECOND, handed_back()),
            }
        });
        let service = KeyRotationLayer::new(pool).layer(upstream);
        send(&service).await;
        let (_, called_back) = tokio::join!(send(&service), send(&service));
        assert_eq!(called_back.status(), status);
        assert_eq!(asked(&service, "sk-a"), 3);
        assert_eq!(asked(&service, "sk-b"), if good { 2 } else { 1 });
        if !good {
            assert_eq!(verdict(&called_back).origin(), Origin::Pool);
            assert_eq!(trail(&called_back).attempts, 0);
        }
    }
}
