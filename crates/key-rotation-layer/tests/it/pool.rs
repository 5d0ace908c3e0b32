//! The pool itself: what it accepts, shows and lets change.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, Request, StatusCode};
use http_body_util::Full;
use key_rotation_layer::{Account, Credential, InvalidPool, KeyPool, KeyRotationLayer};
use throttle_signal::{AccountId, Kind, Scope, Wait};
use tower::{Layer, ServiceExt, service_fn};

use crate::upstream::{Body, Upstream, ok, refused, request, throttle};

#[test]
fn refuses_what_cannot_work() {
    let a = || AccountId::new("a");
    let build = |keys: &[&str]| {
        KeyPool::builder()
            .account("a", keys.iter().copied())
            .build()
            .err()
    };
    assert_eq!(
        KeyPool::builder().build().err(),
        Some(InvalidPool::NoAccount)
    );
    assert_eq!(build(&[]), Some(InvalidPool::NoKey(a())));
    assert_eq!(build(&["sk-1", " "]), Some(InvalidPool::EmptyKey(a())));
    assert_eq!(build(&["sk-1\n"]), Some(InvalidPool::UnsendableKey(a())));
    let twice = KeyPool::builder()
        .account("a", ["sk-1"])
        .account("a", ["sk-2"])
        .build();
    assert_eq!(twice.err(), Some(InvalidPool::Duplicate(a())));
}

#[tokio::test(start_paused = true)]
async fn changes_take_effect_without_dropping_what_is_in_flight() {
    let pool = KeyPool::builder().account("a", ["sk-a"]).build().unwrap();
    let upstream = Upstream::slow(|_| (Duration::from_secs(1), ok()));
    let service = KeyRotationLayer::new(pool.clone()).layer(upstream);
    let send = || service.clone().oneshot(request());

    let change = async {
        tokio::task::yield_now().await;
        pool.replace(Account::new("a").key("sk-new")).unwrap();
        pool.add(Account::new("b").key("sk-b")).unwrap();
    };
    let (before, ()) = tokio::join!(send(), change);
    assert_eq!(before.unwrap().status(), StatusCode::OK);
    assert_eq!(service.get_ref().keys(), "sk-a");

    send().await.unwrap();
    send().await.unwrap();
    assert_eq!(service.get_ref().keys(), "sk-new sk-b");

    pool.disable(&"a".into()).unwrap();
    send().await.unwrap();
    send().await.unwrap();
    assert_eq!(service.get_ref().keys(), "sk-b sk-b");

    pool.enable(&"a".into()).unwrap();
    pool.remove(&"b".into()).unwrap();
    send().await.unwrap();
    assert_eq!(service.get_ref().keys(), "sk-new");

    pool.remove(&"a".into()).unwrap();
    assert_eq!(send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    assert_eq!(service.get_ref().keys(), "");

    let unknown = Some(InvalidPool::Unknown("a".into()));
    assert_eq!(pool.remove(&"a".into()).err(), unknown);
    assert_eq!(pool.enable(&"a".into()).err(), unknown);
    assert_eq!(pool.replace(Account::new("a").key("sk-a")).err(), unknown);
}

#[tokio::test(start_paused = true)]
async fn a_replaced_account_starts_afresh() {
    let pool = KeyPool::builder()
        .account("a", ["sk-old"])
        .account("b", ["sk-b"])
        .build()
        .unwrap();
    let upstream = Upstream::new(|seen| {
        if seen.key == "sk-old" {
            refused(throttle(Kind::Credential, Scope::Key))
        } else {
            ok()
        }
    });
    let service = KeyRotationLayer::new(pool.clone()).layer(upstream);
    service.clone().oneshot(request()).await.unwrap();
    pool.replace(Account::new("a").key("sk-new")).unwrap();
    service.clone().oneshot(request()).await.unwrap();
    assert_eq!(service.get_ref().keys(), "sk-old sk-b sk-new");
}

#[tokio::test(start_paused = true)]
async fn puts_the_key_where_the_account_says() {
    let pool = KeyPool::builder()
        .push(
            Account::new("x")
                .key("key-x")
                .credential(Credential::header(HeaderName::from_static("x-api-key"))),
        )
        .build()
        .unwrap();
    let echo = service_fn(async |request: Request<Body>| {
        let shown = format!("{} {:?}", request.uri(), request.headers().get("x-api-key"));
        Ok::<_, std::convert::Infallible>(http::Response::new(Full::new(Bytes::from(shown))))
    });
    let send = |pool: &KeyPool| {
        KeyRotationLayer::new(pool.clone())
            .layer(echo)
            .oneshot(request())
    };
    let text = |response: http::Response<_>| async {
        let body = http_body_util::BodyExt::collect(response.into_body())
            .await
            .unwrap();
        String::from_utf8(body.to_bytes().to_vec()).unwrap()
    };
    assert!(
        text(send(&pool).await.unwrap())
            .await
            .ends_with("Some(Sensitive)")
    );

    pool.replace(
        Account::new("x")
            .key("key-x")
            .credential(Credential::query("key")),
    )
    .unwrap();
    assert!(
        text(send(&pool).await.unwrap())
            .await
            .contains("/completions?key=key-x ")
    );
}

#[tokio::test(start_paused = true)]
async fn keys_go_only_to_the_hosts_they_are_for() {
    let pool = KeyPool::builder()
        .push(Account::new("a").key("sk-a").host("*.aliyuncs.com"))
        .push(Account::new("b").key("sk-b").host("api.example.com"))
        .build()
        .unwrap();
    let service = KeyRotationLayer::new(pool).layer(Upstream::new(|_| ok()));
    for host in [
        "api.example.com",
        "dashscope.aliyuncs.com",
        "evil.example.com",
        "api.example.com",
    ] {
        let mut request = request();
        *request.uri_mut() = format!("https://{host}/v1").parse().unwrap();
        service.clone().oneshot(request).await.unwrap();
    }
    let keys: Vec<_> = service
        .get_ref()
        .seen()
        .into_iter()
        .map(|seen| seen.key)
        .collect();
    assert_eq!(keys, ["sk-b", "sk-a", "", "sk-b"]);
}

#[tokio::test(start_paused = true)]
async fn shows_how_it_stands() {
    let pool = KeyPool::builder()
        .account("a", ["sk-a1", "sk-a2"])
        .account("b", ["sk-b"])
        .build()
        .unwrap();
    let wait = Wait::Stated(Duration::from_secs(60));
    let upstream = Upstream::slow(move |seen| match seen.key.as_str() {
        "sk-a1" => (
            Duration::ZERO,
            refused(throttle(Kind::Credential, Scope::Key)),
        ),
        "sk-b" => (
            Duration::ZERO,
            refused(throttle(Kind::RequestRate, Scope::Model).with_wait(wait)),
        ),
        _ => (Duration::from_secs(1), ok()),
    });
    let service = KeyRotationLayer::new(pool.clone()).layer(upstream);
    let sent = tokio::spawn(service.clone().oneshot(request()));
    tokio::time::sleep(Duration::from_millis(500)).await;
    pool.disable(&"b".into()).unwrap();

    let [a, b] = pool.snapshot().try_into().unwrap();
    assert_eq!((a.account.as_str(), a.enabled, a.in_flight), ("a", true, 1));
    let out = a.keys[0].out.unwrap();
    assert_eq!(
        (out.kind, out.back_in),
        (Kind::Credential, Duration::from_millis(15 * 60_000 - 500))
    );
    assert_eq!(
        (a.keys[1].out, a.keys[1].proven, a.keys[1].in_flight),
        (None, false, 1)
    );
    assert!(!b.enabled);
    assert_eq!((b.out, b.models[0].model.as_ref()), (None, "m1"));
    let out = b.models[0].out;
    assert_eq!(
        (out.kind, out.back_in),
        (Kind::RequestRate, Duration::from_millis(59_500))
    );

    assert_eq!(sent.await.unwrap().unwrap().status(), StatusCode::OK);
    assert!(pool.snapshot()[0].keys[1].proven);
}

#[test]
fn shows_no_secret() {
    let secret = "sk-0123456789abcdef0123456789abcdef";
    let pool = KeyPool::builder().account("a", [secret]).build().unwrap();
    let account = Account::new("b").key(secret);
    let layer = KeyRotationLayer::new(pool.clone());
    let service = layer.layer(());
    let shown = format!(
        "{pool:?} {account:?} {layer:?} {service:?} {:#?}",
        KeyPool::builder().push(Account::new("c").key(secret))
    );
    for start in 0..=secret.len() - 8 {
        assert!(!shown.contains(&secret[start..start + 8]), "{shown}");
    }
}

/// A request that is answered after a second, while the account is changed again and again.
async fn in_flight_meanwhile(
    pool: &KeyPool,
    refusal: fn() -> http::Response<Body>,
    changes: &[&[&str]],
) {
    let upstream = Upstream::slow(move |seen| match seen.account.as_str() {
        "a" => (Duration::from_secs(1), refusal()),
        _ => (Duration::ZERO, ok()),
    });
    let service = KeyRotationLayer::new(pool.clone()).layer(upstream);
    let in_flight = tokio::spawn(service.oneshot(request()));
    tokio::time::sleep(Duration::from_millis(500)).await;
    for keys in changes {
        let account = Account::new("a").keys(keys.iter().copied());
        pool.replace(account).unwrap();
    }
    in_flight.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_was_in_flight_counts_however_often_its_account_was_replaced() {
    let two = || {
        KeyPool::builder()
            .account("a", ["sk-a1"])
            .account("b", ["sk-b"])
            .build()
            .unwrap()
    };
    let revoked = || refused(throttle(Kind::Credential, Scope::Key));
    let overdue = || refused(throttle(Kind::QuotaExhausted, Scope::Account));

    let pool = two();
    in_flight_meanwhile(
        &pool,
        revoked,
        &[&["sk-a1"], &["sk-a1", "sk-a2"], &["sk-a2", "sk-a1"]],
    )
    .await;
    let [a, _] = pool.snapshot().try_into().unwrap();
    let out: Vec<_> = a.keys.iter().map(|key| key.out.is_some()).collect();
    assert_eq!(out, [false, true]);

    // What is said of the account holds for it though the key is gone; of a new account it does not.
    let pool = two();
    in_flight_meanwhile(&pool, overdue, &[&["sk-a1", "sk-a2"], &["sk-a2"]]).await;
    assert!(pool.snapshot()[0].out.is_some());
    let pool = two();
    in_flight_meanwhile(&pool, overdue, &[&["sk-a2"]]).await;
    assert!(pool.snapshot()[0].out.is_none());
}
