//! How long a refused account is left alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http::StatusCode;
use http_body_util::BodyExt;
use key_rotation_layer::{KeyPool, KeyRotationLayer};
use throttle_signal::{Kind, Origin, Wait};
use tokio::time;
use tower::{Layer, ServiceExt};

use crate::rotation::{SECOND, pool, rate, send, service, trail, verdict};
use crate::upstream::{Body, Upstream, ok, refused, request};

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
    assert_eq!(response.headers()["retry-after"], "5");
    assert_eq!(response.headers()["retry-after-ms"], "5000");
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        "upstream's own words"
    );
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
async fn models_that_nobody_asks_for_any_more_are_forgotten() {
    let pool = KeyPool::builder().account("a", ["sk-a"]).build().unwrap();
    let service = service(&pool, |_| refused(rate(Wait::Stated(SECOND))));
    for model in 0..10_000 {
        let mut named = request();
        *named.body_mut() = Body::from(format!(r#"{{"model":"made-up-{model}"}}"#));
        service.clone().oneshot(named).await.unwrap();
        time::advance(10 * SECOND).await;
    }
    let known = pool.snapshot()[0].models.len();
    assert!(known <= 400, "{known}");
}
