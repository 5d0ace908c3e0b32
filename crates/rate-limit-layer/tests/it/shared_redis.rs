//! The store on a real server.

use std::time::Duration;

use rate_limit_layer::shared::{ConnectError, SharedStore};
use rate_limit_layer::{Limiter, Quota, RateLimit};
use test_support::process::ClosedPort;
use test_support::redis::Server;
use test_support::{Upstream, ok};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tower::ServiceExt;

use crate::support::{chat, service};

const QUOTA: Quota = Quota::new().requests_per_second(40).allow_bursts();

async fn instance(server: &Server) -> (SharedStore, Limiter, RateLimit<Upstream>) {
    let builder = SharedStore::builder().time_limit(Duration::from_secs(5));
    let (store, driver) = builder.connect(&server.url()).await.unwrap();
    tokio::spawn(driver);
    let limiter = Limiter::builder()
        .model("qwen3-max", QUOTA)
        .guard(Duration::ZERO)
        .shared(store.clone())
        .build();
    let service = service(&limiter, &Upstream::answering(|_| ok()));
    (store, limiter, service)
}

async fn refused(url: &str) -> ConnectError {
    let connected = SharedStore::connect(url).await;
    connected.map(|_| ()).unwrap_err()
}

#[tokio::test]
async fn two_instances_share_what_one_server_grants() {
    let Some(server) = Server::start("") else {
        return;
    };
    let (one, _, first) = instance(&server).await;
    let (other, _, second) = instance(&server).await;
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..30 {
        tasks.spawn(first.clone().oneshot(chat("qwen3-max", 10)));
        tasks.spawn(second.clone().oneshot(chat("qwen3-max", 10)));
    }
    while let Some(answer) = tasks.join_next().await {
        answer.unwrap().unwrap();
    }
    // 40 at once, and 20 when a second has passed: whatever the machine does, not earlier.
    assert!(began.elapsed() >= Duration::from_secs(1));
    let (one, other) = (one.stats(), other.stats());
    assert!(one.grants + other.grants >= 60, "{one:?} {other:?}");
    assert_eq!(one.failed_calls + other.failed_calls, 0);

    // No others than each call declares, with the version of the scripts.
    let keys = server.command("KEYS *");
    let prefix = keys.lines().find_map(|key| key.strip_suffix("state"));
    let prefix = prefix.unwrap();
    assert!(prefix.starts_with("{rate-limit::qwen3-max}:v"), "{keys}");
    let declared = ["fleet", "log", "state"].map(|part| format!("{prefix}{part}"));
    assert!(
        keys.lines().all(|key| declared.iter().any(|it| it == key)),
        "{keys}"
    );
    // None is kept for ever.
    for key in keys.lines() {
        let left: i64 = server.command(&format!("PTTL {key}")).parse().unwrap();
        assert!((1..=60_000).contains(&left), "{key}: {left}");
    }
}

#[tokio::test]
async fn a_server_that_forgot_its_scripts_gets_them_again() {
    let Some(server) = Server::start("") else {
        return;
    };
    let (store, _, service) = instance(&server).await;
    for _ in 0..3 {
        let answer = service.clone().oneshot(chat("qwen3-max", 10)).await;
        answer.unwrap();
        server.command("SCRIPT FLUSH");
    }
    assert_eq!(store.stats().failed_calls, 0);
}

#[tokio::test]
async fn what_will_not_do_is_refused_in_one_sentence() {
    let Some(server) = Server::start("requirepass secret-word") else {
        return;
    };
    let addr = server.addr();
    let error = refused(&format!("redis://:wrong-word@{addr}")).await;
    assert!(error.is_auth(), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("wrong-word"));
    assert!(refused(&server.url()).await.is_auth());
    let connected = SharedStore::connect(&format!("redis://:secret-word@{addr}")).await;
    let (store, driver) = connected.unwrap();
    assert!(!format!("{store:?} {driver:?}").contains("secret-word"));

    server.command("CONFIG SET maxmemory-policy allkeys-lru");
    let error = refused(&format!("redis://:secret-word@{addr}")).await;
    assert!(error.is_eviction_policy(), "{error:?}");
    assert!(error.to_string().contains("allkeys-lru"));

    server.command("ACL SETUSER paced on >paced-word ~rate-limit* ~{rate-limit* +@all -config");
    server.command("CONFIG SET maxmemory-policy noeviction");
    let connected = SharedStore::connect(&format!("redis://paced:paced-word@{addr}")).await;
    assert!(
        connected.is_ok(),
        "without CONFIG it does as well: {connected:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_not_there_is_said_to_be_unreachable() {
    let nobody = ClosedPort::new();
    let error = refused(&format!("redis://{}", nobody.addr())).await;
    assert!(error.is_unreachable(), "{error:?}");
    let error = refused("http://example.org").await;
    assert!(error.to_string().contains("URL"), "{error}");
}
