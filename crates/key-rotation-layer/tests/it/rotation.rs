//! Whom a request is sent to, and what is learned from the answers.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use key_rotation_layer::{Account, KeyPool, KeyRotation, KeyRotationLayer, Strategy};
use replay_body::ReplayBody;
use throttle_signal::{
    AccountId, Classified, Deadline, Envelope, Headroom, Kind, Origin, RequestFacts, Scope,
    StartBy, Throttle, Trail, Wait,
};
use tokio::time::{self, Instant};
use tower::{Layer, ServiceExt};

use crate::upstream::{Body, Seen, Upstream, ok, refused, request, throttle};

const SECOND: Duration = Duration::from_secs(1);

fn pool() -> KeyPool {
    KeyPool::builder()
        .account("a", ["sk-a1", "sk-a2"])
        .account("b", ["sk-b1"])
        .build()
        .unwrap()
}

fn service(
    pool: &KeyPool,
    answer: impl Fn(&Seen) -> Response<Body> + Send + Sync + 'static,
) -> KeyRotation<Upstream> {
    KeyRotationLayer::new(pool.clone()).layer(Upstream::new(answer))
}

type Answer = Response<replay_body::PeekBody<Body>>;

async fn send(service: &KeyRotation<Upstream>) -> Answer {
    service.clone().oneshot(request()).await.unwrap()
}

fn verdict(response: &Answer) -> Throttle {
    Classified::throttle(response.extensions()).unwrap().clone()
}

fn trail(response: &Answer) -> Trail {
    response.extensions().get::<Trail>().unwrap().clone()
}

fn rate(wait: Wait) -> Throttle {
    throttle(Kind::RequestRate, Scope::Model).with_wait(wait)
}

#[tokio::test(start_paused = true)]
async fn spreads_over_accounts_and_their_keys() {
    let service = service(&pool(), |_| ok());
    for _ in 0..6 {
        send(&service).await;
    }
    assert_eq!(
        service.get_ref().keys(),
        "sk-a1 sk-b1 sk-a2 sk-b1 sk-a1 sk-b1"
    );
}

#[tokio::test(start_paused = true)]
async fn names_account_and_key_down_and_up() {
    let service = service(&pool(), |_| ok());
    let response = send(&service).await;
    assert_eq!(service.get_ref().seen()[0].account, "a");
    assert_eq!(trail(&response).account, Some("a".into()));
    assert!(trail(&response).key.is_some());
    assert_eq!(trail(&response).attempts, 1);
}

#[tokio::test(start_paused = true)]
async fn marks_the_key_sensitive() {
    let pool = KeyPool::builder()
        .account("a", ["sk-secret"])
        .build()
        .unwrap();
    let upstream = tower::service_fn(async |request: Request<Body>| {
        assert!(request.headers()["authorization"].is_sensitive());
        assert!(!format!("{request:?}").contains("sk-secret"));
        Ok::<_, std::convert::Infallible>(ok())
    });
    KeyRotationLayer::new(pool)
        .layer(upstream)
        .oneshot(request())
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_rate_refusal_goes_to_the_next_account_at_once_and_cools_the_model() {
    let service = service(&pool(), |seen| {
        if seen.account == "a" && seen.at < 60 {
            refused(rate(Wait::Stated(60 * SECOND)))
        } else {
            ok()
        }
    });
    let response = send(&service).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(service.get_ref().accounts(), "a b");
    assert_eq!(trail(&response).attempts, 2);
    assert_eq!(trail(&response).account, Some("b".into()));
    assert_eq!(
        trail(&response).steps[0].reason,
        "account a refused: request_rate"
    );

    for _ in 0..3 {
        send(&service).await;
    }
    assert_eq!(service.get_ref().accounts(), "b b b");

    time::advance(60 * SECOND).await;
    for _ in 0..4 {
        send(&service).await;
    }
    assert_eq!(service.get_ref().accounts(), "a b a b");
}

#[tokio::test(start_paused = true)]
async fn a_rate_refusal_of_one_model_leaves_the_account_to_others() {
    let pool = KeyPool::builder().account("a", ["sk-a1"]).build().unwrap();
    let service = service(&pool, |_| refused(rate(Wait::Stated(60 * SECOND))));
    send(&service).await;
    let mut other = request();
    *other.body_mut() = Body::from(r#"{"model":"m2"}"#);
    service.clone().oneshot(other).await.unwrap();
    assert_eq!(service.get_ref().accounts(), "a a");
}

#[tokio::test(start_paused = true)]
async fn all_cooling_is_a_local_429_with_the_earliest_time() {
    let service = service(&pool(), |seen| {
        refused(rate(Wait::Stated(if seen.account == "a" {
            60 * SECOND
        } else {
            20 * SECOND
        })))
    });
    // The second account's own words, with the pool's own wait.
    let response = send(&service).await;
    assert_eq!(service.get_ref().accounts(), "a b");
    assert_eq!(verdict(&response).wait(), Wait::Stated(20 * SECOND));

    time::advance(Duration::from_millis(500)).await;
    let response = send(&service).await;
    assert_eq!(service.get_ref().accounts(), "");
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()["retry-after"], "20");
    assert_eq!(response.headers()["retry-after-ms"], "19500");
    assert_eq!(trail(&response).attempts, 0);
    let throttle = verdict(&response);
    assert!(throttle.retry());
    assert_eq!(throttle.origin(), Origin::Pool);
    assert_eq!(throttle.kind(), Kind::RequestRate);
    assert_eq!(throttle.wait(), Wait::Stated(Duration::from_millis(19500)));
    assert_eq!(throttle.model().unwrap().as_ref(), "m1");
}

#[tokio::test(start_paused = true)]
async fn the_last_refusal_reports_the_pools_earliest_time() {
    let service = service(&pool(), |seen| {
        refused(rate(Wait::Stated(if seen.account == "a" {
            5 * SECOND
        } else {
            60 * SECOND
        })))
    });
    let response = send(&service).await;
    assert_eq!(verdict(&response).wait(), Wait::Stated(5 * SECOND));
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        "upstream's own words"
    );
}

#[tokio::test(start_paused = true)]
async fn a_wrong_key_on_the_only_account_comes_back_as_the_upstreams_own_answer() {
    let pool = KeyPool::builder().account("a", ["sk-a1"]).build().unwrap();
    let service = service(&pool, |_| refused(throttle(Kind::Credential, Scope::Key)));
    let response = send(&service).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert!(!verdict(&response).retry());
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        "upstream's own words"
    );

    // And soon after: the last usable key is not benched for long by a guess.
    let response = send(&service).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert!(!verdict(&response).retry());
    service.get_ref().keys();
    time::advance(61 * SECOND).await;
    send(&service).await;
    assert_eq!(service.get_ref().keys(), "sk-a1");
}

#[tokio::test(start_paused = true)]
async fn a_revoked_key_is_not_sent_again_and_its_sister_is_asked() {
    let service = service(&pool(), |seen| {
        if seen.key == "sk-a1" {
            refused(throttle(Kind::Credential, Scope::Key))
        } else {
            ok()
        }
    });
    for _ in 0..100 {
        assert_eq!(send(&service).await.status(), StatusCode::OK);
        time::advance(SECOND).await;
    }
    let keys: Vec<_> = service
        .get_ref()
        .seen()
        .into_iter()
        .map(|seen| seen.key)
        .collect();
    assert_eq!(keys.iter().filter(|key| *key == "sk-a1").count(), 1);
    assert_eq!(keys.iter().filter(|key| *key == "sk-a2").count(), 50);
    assert_eq!(keys.iter().filter(|key| *key == "sk-b1").count(), 50);
}

#[tokio::test(start_paused = true)]
async fn other_keys_of_a_refused_account_are_not_asked() {
    let service = service(&pool(), |seen| {
        if seen.account == "a" {
            refused(throttle(Kind::QuotaExhausted, Scope::Account))
        } else {
            ok()
        }
    });
    for _ in 0..10 {
        assert_eq!(send(&service).await.status(), StatusCode::OK);
    }
    assert_eq!(
        service.get_ref().keys(),
        "sk-a1 sk-b1".to_owned() + &" sk-b1".repeat(9)
    );

    // A rare probe, in case somebody paid.
    time::advance(15 * 60 * SECOND).await;
    for _ in 0..10 {
        assert_eq!(send(&service).await.status(), StatusCode::OK);
    }
    let accounts = service.get_ref().accounts();
    assert_eq!(accounts.matches('a').count(), 1, "{accounts}");
}

#[tokio::test(start_paused = true)]
async fn exhausted_revoked_and_good_answer_everything() {
    let pool = KeyPool::builder()
        .account("exhausted", ["sk-e1", "sk-e2"])
        .account("revoked", ["sk-r1"])
        .account("good", ["sk-g1"])
        .build()
        .unwrap();
    let service = service(&pool, |seen| match seen.account.as_str() {
        "exhausted" => refused(throttle(Kind::QuotaExhausted, Scope::Account)),
        "revoked" => refused(throttle(Kind::Credential, Scope::Account)),
        _ => ok(),
    });
    for _ in 0..1000 {
        assert_eq!(send(&service).await.status(), StatusCode::OK);
        time::advance(SECOND / 10).await;
    }
    let asked = |account: &str| {
        service
            .get_ref()
            .seen()
            .iter()
            .filter(|seen| seen.account == account)
            .count()
    };
    assert_eq!(
        (asked("exhausted"), asked("revoked"), asked("good")),
        (1, 1, 1000)
    );
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_refused_once_comes_back_by_its_probe() {
    // One transient 401 must not end a key for the life of the process.
    let refusals = AtomicU32::new(0);
    let service = service(&pool(), move |seen| {
        let first = seen.key == "sk-b1" && refusals.fetch_add(1, Ordering::Relaxed) == 0;
        if first {
            refused(throttle(Kind::Credential, Scope::Key))
        } else {
            ok()
        }
    });
    for _ in 0..4 {
        send(&service).await;
    }
    assert_eq!(service.get_ref().keys().matches("sk-b1").count(), 1);
    time::advance(15 * 60 * SECOND).await;
    for _ in 0..4 {
        send(&service).await;
    }
    assert_eq!(service.get_ref().keys().matches("sk-b1").count(), 2);
}

#[tokio::test(start_paused = true)]
async fn every_account_is_asked_before_the_refusal_comes_back() {
    let mut pool = KeyPool::builder();
    for account in 0..20 {
        pool = pool.account(
            &*format!("a{account}"),
            [format!("sk-{account}"), format!("sk-{account}-2")],
        );
    }
    let service = service(&pool.build().unwrap(), |seen| {
        if seen.account == "a19" {
            ok()
        } else {
            refused(rate(Wait::Unknown))
        }
    });
    let response = send(&service).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(trail(&response).attempts, 20);
}

#[tokio::test(start_paused = true)]
async fn an_overloaded_server_benches_nobody_and_is_not_asked_with_another_key() {
    let service = service(&pool(), |_| {
        refused(throttle(Kind::Overloaded, Scope::Server))
    });
    for _ in 0..2 {
        assert_eq!(verdict(&send(&service).await).kind(), Kind::Overloaded);
    }
    assert_eq!(service.get_ref().accounts(), "a b");
}

#[tokio::test(start_paused = true)]
async fn a_concurrency_refusal_tries_another_account_and_benches_nobody() {
    let service = service(&pool(), |seen| {
        if seen.account == "a" {
            refused(throttle(Kind::Concurrency, Scope::Account))
        } else {
            ok()
        }
    });
    for _ in 0..3 {
        assert_eq!(send(&service).await.status(), StatusCode::OK);
    }
    assert_eq!(service.get_ref().accounts(), "a b a b a b");
}

#[tokio::test(start_paused = true)]
async fn a_request_two_keys_refuse_for_good_is_stopped_and_benches_nobody() {
    let pool = KeyPool::builder()
        .account("a", ["sk-a"])
        .account("b", ["sk-b"])
        .account("c", ["sk-c"])
        .build()
        .unwrap();
    let service = service(&pool, |_| {
        refused(throttle(Kind::TokenRate, Scope::Model).with_retry(false))
    });
    let response = send(&service).await;
    assert_eq!(service.get_ref().accounts(), "a b");
    assert!(!verdict(&response).retry());
    send(&service).await;
    assert_eq!(service.get_ref().accounts(), "c a");
}

#[tokio::test(start_paused = true)]
async fn a_revoked_key_beside_a_cooling_account_is_a_429_that_passes() {
    let service = service(&pool(), |seen| match seen.account.as_str() {
        "a" => refused(rate(Wait::Stated(3 * SECOND))),
        _ => refused(throttle(Kind::Credential, Scope::Account)),
    });
    let response = send(&service).await;
    assert_eq!(service.get_ref().accounts(), "a b");
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(verdict(&response).retry());
    assert_eq!(verdict(&response).wait(), Wait::Stated(3 * SECOND));
    assert_eq!(trail(&response).attempts, 2);
    assert_eq!(trail(&response).steps.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn after_a_cooldown_one_probe_goes_alone() {
    let pool = KeyPool::builder().account("a", ["sk-a"]).build().unwrap();
    let upstream = Upstream::slow(|seen| match seen.at {
        0 => (Duration::ZERO, refused(rate(Wait::Stated(10 * SECOND)))),
        _ => (Duration::from_millis(400), ok()),
    });
    let service = KeyRotationLayer::new(pool).layer(upstream);
    send(&service).await;
    time::advance(10 * SECOND).await;

    let (probe, other) = tokio::join!(send(&service), send(&service));
    assert_eq!(probe.status(), StatusCode::OK);
    assert_eq!(other.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(verdict(&other).retry());
    let (one, two) = tokio::join!(send(&service), send(&service));
    assert_eq!(
        (one.status(), two.status()),
        (StatusCode::OK, StatusCode::OK)
    );
}

#[tokio::test(start_paused = true)]
async fn an_unproven_key_serves_one_request_at_a_time_beside_proven_ones() {
    let pool = KeyPool::builder()
        .account("a", ["sk-a"])
        .account("b", ["sk-b"])
        .build()
        .unwrap();
    let upstream = Upstream::slow(|seen| match seen.account.as_str() {
        "a" => (Duration::ZERO, ok()),
        _ => (30 * SECOND, refused(throttle(Kind::Credential, Scope::Key))),
    });
    let service = KeyRotationLayer::new(pool).layer(upstream);
    send(&service).await;
    let on_b = send(&service);
    let rest = async {
        for _ in 0..20 {
            send(&service).await;
        }
    };
    tokio::join!(on_b, rest);
    let accounts = service.get_ref().accounts();
    assert_eq!(accounts.matches('b').count(), 1, "{accounts}");
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_is_kept_and_a_guess_is_not_long() {
    let refusals = Arc::new(AtomicU32::new(0));
    let pool = KeyPool::builder().account("a", ["sk-a"]).build().unwrap();
    let service = service(&pool, {
        let refusals = refusals.clone();
        move |_| match refusals.fetch_add(1, Ordering::Relaxed) {
            0 => refused(rate(Wait::Unknown)),
            1 => refused(rate(Wait::Stated(3600 * SECOND))),
            _ => ok(),
        }
    });
    send(&service).await;
    time::advance(SECOND).await;
    send(&service).await;
    assert_eq!(refusals.load(Ordering::Relaxed), 2);
    time::advance(3599 * SECOND).await;
    assert_eq!(verdict(&send(&service).await).wait(), Wait::Stated(SECOND));
    time::advance(SECOND).await;
    assert_eq!(send(&service).await.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn sends_nothing_later_than_the_request_may_be_sent() {
    let upstream = Upstream::slow(|_| (2 * SECOND, refused(rate(Wait::Stated(60 * SECOND)))));
    let service = KeyRotationLayer::new(pool()).layer(upstream);
    for extension in [true, false] {
        let mut late = request();
        let at = Instant::now() + SECOND;
        if extension {
            late.extensions_mut().insert(StartBy(at));
        } else {
            late.extensions_mut().insert(Deadline(at));
        }
        service.clone().oneshot(late).await.unwrap();
    }
    assert_eq!(service.get_ref().accounts(), "a b"); // one each, not two
}

#[tokio::test(start_paused = true)]
async fn a_named_account_is_used() {
    let service = service(&pool(), |_| ok());
    for _ in 0..3 {
        let mut named = request();
        named.extensions_mut().insert(AccountId::new("b"));
        service.clone().oneshot(named).await.unwrap();
    }
    assert_eq!(service.get_ref().accounts(), "b b b");
}

/// A limiter whose accounts have room at these seconds after the start.
#[derive(Clone, Debug)]
struct Slots {
    start: Instant,
    slots: Arc<Mutex<Vec<Slot>>>,
}

type Slot = (&'static str, Option<u32>);

impl Slots {
    fn new(slots: &[Slot]) -> Self {
        Self {
            start: Instant::now(),
            slots: Arc::new(Mutex::new(slots.to_vec())),
        }
    }

    fn set(&self, account: &str, at: u32) {
        let mut slots = self.slots.lock().unwrap();
        slots.iter_mut().find(|(id, _)| *id == account).unwrap().1 = Some(at);
    }
}

impl Headroom for Slots {
    fn earliest(&self, account: &AccountId, _: &RequestFacts, now: Instant) -> Option<Instant> {
        let slots = self.slots.lock().unwrap();
        let (_, slot) = slots
            .iter()
            .find(|(id, _)| *id == account.as_str())
            .unwrap();
        slot.map(|slot| now.max(self.start + slot * SECOND))
    }
}

fn with_slots(
    strategy: Strategy,
    slots: &[Slot],
    answer: impl Fn(&Seen) -> Response<Body> + Send + Sync + 'static,
) -> KeyRotation<Upstream> {
    let mut pool = KeyPool::builder().strategy(strategy);
    for (account, _) in slots {
        pool = pool.account(*account, [format!("sk-{account}")]);
    }
    let slots = Slots::new(slots);
    KeyRotationLayer::new(pool.build().unwrap())
        .headroom(slots)
        .layer(Upstream::new(answer))
}

#[tokio::test(start_paused = true)]
async fn picks_the_earliest_slot_and_hands_waiters_back_at_the_second() {
    let slots = [("a", Some(9)), ("b", Some(4)), ("c", Some(6)), ("d", None)];
    let service = with_slots(Strategy::earliest_slot(), &slots, |_| ok());
    send(&service).await;
    let seen = service.get_ref().seen().remove(0);
    assert_eq!(seen.account, "b");
    let start_by = seen.start_by.unwrap();
    assert!((6 * SECOND..7 * SECOND).contains(&start_by), "{start_by:?}");
}

#[tokio::test(start_paused = true)]
async fn a_paced_refusal_stays_paced_when_no_account_is_free_earlier() {
    let slots = [("a", Some(0)), ("b", Some(50))];
    let service = with_slots(Strategy::earliest_slot(), &slots, |_| {
        refused(rate(Wait::Typical(20 * SECOND)).with_paced(true))
    });
    let response = send(&service).await;
    assert_eq!(service.get_ref().accounts(), "a");
    assert!(verdict(&response).paced() && verdict(&response).retry());
    assert_eq!(verdict(&response).wait(), Wait::Typical(20 * SECOND));

    // Nobody is cooling: the limiter holds the request back, in its old place.
    send(&service).await;
    assert_eq!(service.get_ref().accounts(), "a");
}

#[tokio::test(start_paused = true)]
async fn a_paced_refusal_moves_to_an_account_that_is_free_earlier() {
    let slots = Slots::new(&[("a", Some(0)), ("b", Some(5))]);
    let freezing = slots.clone();
    // As a limiter that freezes `a` for a minute when the upstream refuses it.
    let upstream = Upstream::new(move |seen| {
        if seen.account == "a" {
            freezing.set("a", 60);
            refused(rate(Wait::Stated(60 * SECOND)).with_paced(true))
        } else {
            ok()
        }
    });
    let pool = KeyPool::builder()
        .account("a", ["sk-a"])
        .account("b", ["sk-b"])
        .build()
        .unwrap();
    let service = KeyRotationLayer::new(pool).headroom(slots).layer(upstream);
    assert_eq!(send(&service).await.status(), StatusCode::OK);
    assert_eq!(service.get_ref().accounts(), "a b");
    send(&service).await;
    assert_eq!(service.get_ref().accounts(), "b");
}

/// As a limiter that hands back what cannot go in time.
fn handed_back() -> Response<Body> {
    let local: Response<replay_body::PeekBody<Body>> =
        Envelope::new().refuse(rate(Wait::Stated(5 * SECOND)), &http::HeaderMap::new());
    local.map(|_| Body::default())
}

#[tokio::test(start_paused = true)]
async fn a_request_handed_back_goes_where_it_can_go_soonest() {
    let slots = Slots::new(&[("a", Some(3)), ("b", Some(4)), ("c", Some(9))]);
    let moving = slots.clone();
    // `a` freezes while the request waits there, then `b`; `a` is the best again.
    let count = AtomicU32::new(0);
    let upstream = Upstream::new(move |_| match count.fetch_add(1, Ordering::Relaxed) {
        0 => {
            moving.set("a", 7);
            handed_back()
        }
        1 => {
            moving.set("b", 60);
            handed_back()
        }
        _ => ok(),
    });
    let pool = KeyPool::builder()
        .account("a", ["sk-a"])
        .account("b", ["sk-b"])
        .account("c", ["sk-c"])
        .build()
        .unwrap();
    let service = KeyRotationLayer::new(pool).headroom(slots).layer(upstream);
    let response = send(&service).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(service.get_ref().accounts(), "a b a");
    assert_eq!(trail(&response).attempts, 1);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_cannot_be_sent_again_is_not_hurried() {
    let slots = [("a", Some(3)), ("b", Some(4))];
    let service = with_slots(Strategy::earliest_slot(), &slots, |_| ok());
    let inner = service.get_ref().clone();
    let streaming = tower::service_fn(move |request: Request<ReplayBody<Body>>| {
        inner.clone().oneshot(request.map(|_| Body::default()))
    });
    let layer = KeyRotationLayer::new(pool()).headroom(Slots::new(&slots));
    let body = ReplayBody::tee(Body::from("{}"), 0);
    layer
        .layer(streaming)
        .oneshot(Request::new(body))
        .await
        .unwrap();
    assert_eq!(service.get_ref().seen()[0].start_by, None);
}

#[tokio::test(start_paused = true)]
async fn a_request_handed_back_again_and_again_waits_where_it_is() {
    let slots = [("a", Some(3)), ("b", Some(4))];
    // A limiter that always loses the race for the slot it has forecast.
    let service = with_slots(Strategy::earliest_slot(), &slots, move |seen| {
        if seen.start_by.is_some() {
            handed_back()
        } else {
            ok()
        }
    });
    assert_eq!(send(&service).await.status(), StatusCode::OK);
    let seen = service.get_ref().seen();
    assert_eq!(seen.len(), 17);
    assert!(seen.iter().all(|seen| seen.account == "a"));
}

#[tokio::test(start_paused = true)]
async fn without_a_forecast_a_paced_refusal_moves_on_and_is_remembered() {
    let service = service(&pool(), |seen| {
        if seen.account == "a" {
            refused(rate(Wait::Stated(60 * SECOND)).with_paced(true))
        } else {
            ok()
        }
    });
    for _ in 0..3 {
        assert_eq!(send(&service).await.status(), StatusCode::OK);
    }
    assert_eq!(service.get_ref().accounts(), "a b b b");
}

#[tokio::test(start_paused = true)]
async fn fills_the_first_account_before_the_next() {
    let service = with_slots(
        Strategy::fill_first(),
        &[("a", Some(10)), ("b", Some(0))],
        |_| ok(),
    );
    send(&service).await;
    time::advance(10 * SECOND).await;
    send(&service).await;
    send(&service).await;
    assert_eq!(service.get_ref().accounts(), "b a a");
}

#[tokio::test(start_paused = true)]
async fn weighs_accounts() {
    let pool = KeyPool::builder()
        .push(Account::new("a").key("sk-a").weight(3))
        .push(Account::new("b").key("sk-b"))
        .strategy(Strategy::weighted())
        .build()
        .unwrap();
    let service = service(&pool, |_| ok());
    for _ in 0..8 {
        send(&service).await;
    }
    let accounts = service.get_ref().accounts();
    assert_eq!(accounts.matches('a').count(), 6, "{accounts}");
    assert!(!accounts.contains("b b"), "{accounts}");
}

#[tokio::test(start_paused = true)]
async fn round_robin_goes_in_order() {
    let pool = KeyPool::builder()
        .account("a", ["sk-a"])
        .account("b", ["sk-b"])
        .account("c", ["sk-c"])
        .strategy(Strategy::round_robin())
        .build()
        .unwrap();
    let service = service(&pool, |_| ok());
    for _ in 0..5 {
        send(&service).await;
    }
    assert_eq!(service.get_ref().accounts(), "a b c a b");
}

#[tokio::test(start_paused = true)]
async fn a_conversation_stays_with_its_account() {
    let pool = KeyPool::builder()
        .account("a", ["sk-a"])
        .account("b", ["sk-b"])
        .strategy(Strategy::sticky(SECOND))
        .build()
        .unwrap();
    let service = service(&pool, |_| ok());
    let mut homes = std::collections::BTreeSet::new();
    for user in 0..20 {
        for turn in 0..3 {
            let mut request = request();
            *request.body_mut() =
                Body::from(format!(r#"{{"model":"m1","user":"u{user}","n":{turn}}}"#));
            service.clone().oneshot(request).await.unwrap();
        }
        let accounts = service.get_ref().accounts();
        assert!(
            ["a a a", "b b b"].contains(&accounts.as_str()),
            "{accounts}"
        );
        homes.insert(accounts);
    }
    assert_eq!(homes.len(), 2);
}
