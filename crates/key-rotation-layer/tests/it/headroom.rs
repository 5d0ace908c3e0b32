//! What a forecast of the limiter below changes: who is asked, and when a request is handed back.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use http::{Request, Response, StatusCode};
use key_rotation_layer::{KeyPool, KeyRotation, KeyRotationLayer, Strategy};
use replay_body::ReplayBody;
use throttle_signal::{AccountId, Envelope, Headroom, RequestFacts, Wait};
use tokio::time;
use tokio::time::Instant;
use tower::{Layer, ServiceExt};

use crate::rotation::{SECOND, pool, rate, send, trail, verdict};
use crate::upstream::{Body, Seen, Upstream, ok, refused};

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
pub(crate) fn handed_back() -> Response<Body> {
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
