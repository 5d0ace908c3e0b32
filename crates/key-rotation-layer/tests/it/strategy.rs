//! Which account a request is sent to while all are well.

use key_rotation_layer::{Account, KeyPool, KeyRotationLayer, Strategy};
use throttle_signal::AccountId;
use tower::{Layer, ServiceExt};

use crate::rotation::{SECOND, pool, send, service};
use crate::upstream::{Body, Upstream, ok, request};

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
async fn a_named_account_is_used() {
    let service = service(&pool(), |_| ok());
    for _ in 0..3 {
        let mut named = request();
        named.extensions_mut().insert(AccountId::new("b"));
        service.clone().oneshot(named).await.unwrap();
    }
    assert_eq!(service.get_ref().accounts(), "b b b");
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

#[tokio::test(start_paused = true)]
async fn weights_may_be_as_large_as_quotas() {
    let pool = KeyPool::builder()
        .push(Account::new("a").key("sk-a").weight(3_000_000))
        .push(Account::new("b").key("sk-b").weight(1_000_000))
        .push(Account::new("c").key("sk-c").weight(u32::MAX))
        .strategy(Strategy::weighted())
        .build()
        .unwrap();
    pool.disable(&"c".into()).unwrap();
    let service = service(&pool, |_| ok());
    for _ in 0..400 {
        send(&service).await;
    }
    let accounts = service.get_ref().accounts();
    assert_eq!(accounts.matches('a').count(), 300);
    assert_eq!(accounts.matches('b').count(), 100);
}

#[tokio::test(start_paused = true)]
async fn a_key_not_yet_proven_serves_one_request_while_others_can_take_the_rest() {
    let pool = pool();
    let upstream = Upstream::slow(|_| (SECOND, ok()));
    let service = KeyRotationLayer::new(pool.clone()).layer(upstream);
    let mut named = request();
    named.extensions_mut().insert(AccountId::new("b"));
    service.clone().oneshot(named).await.unwrap(); // `b` is proven
    service.get_ref().keys();

    let send = || send(&service);
    tokio::join!(send(), send(), send(), send(), send());
    let keys = service.get_ref().keys();
    for unproven in ["sk-a1", "sk-a2"] {
        assert_eq!(keys.matches(unproven).count(), 1, "{keys}");
    }
    // From now on all are.
    tokio::join!(send(), send(), send(), send(), send());
    let keys = service.get_ref().keys();
    assert!(keys.matches("sk-b1").count() <= 3, "{keys}");
}
