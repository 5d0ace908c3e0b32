//! How a key is sent, and what becomes of one that is refused.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http::{Request, StatusCode};
use http_body_util::BodyExt;
use key_rotation_layer::{KeyPool, KeyRotationLayer};
use throttle_signal::{Kind, Scope, Wait};
use tokio::time;
use tower::{Layer, ServiceExt};

use crate::rotation::{SECOND, pool, rate, send, service, trail, verdict};
use crate::upstream::{Body, Upstream, ok, refused, request, throttle};

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
