//! Whether a refusal is taken to another account.

use http::StatusCode;
use key_rotation_layer::{KeyPool, KeyRotationLayer};
use throttle_signal::{Deadline, Kind, Scope, StartBy, Wait};
use tokio::time;
use tokio::time::Instant;
use tower::{Layer, ServiceExt};

use crate::rotation::{SECOND, pool, rate, send, service, trail, verdict};
use crate::upstream::{Upstream, ok, refused, request, throttle};

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
