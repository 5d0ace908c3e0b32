use std::time::Duration;

use rate_limit_layer::shared::{ConnectError, SharedStore};
use test_support::process::free_addr;
use test_support::redis::Server;
use tokio::time::timeout;

use crate::instance::{Instance, LIMIT};
use crate::upstream::Upstream;

async fn refused(url: &str) -> ConnectError {
    let connected = timeout(Duration::from_secs(20), SharedStore::connect(url)).await;
    let error = connected.unwrap().map(drop).unwrap_err();
    let sentence = error.to_string();
    assert_eq!(sentence.lines().count(), 1, "{sentence}");
    assert!(!sentence.contains("secret"), "{sentence}");
    println!("{sentence}");
    error
}

#[tokio::test]
async fn a_user_of_the_access_list_and_a_password_are_enough() {
    let user = "user fleet on >secret ~{rate-limit:* +@all\nuser default off\n";
    let Some(server) = Server::start(user) else {
        return;
    };
    let upstream = Upstream::new();
    let url = format!("redis://fleet:secret@{}", server.addr());
    let instance = Instance::connect(&url, &upstream).await.busy(10);
    instance.answers(LIMIT).await;
    assert_eq!(instance.finish().await, 0);
}

#[tokio::test]
async fn a_wrong_password_is_one_sentence() {
    let Some(server) = Server::start("requirepass hidden") else {
        return;
    };
    let addr = server.addr();
    for url in [
        format!("redis://:secret@{addr}"),
        format!("redis://nobody:secret@{addr}"),
        format!("redis://{addr}"),
    ] {
        assert!(refused(&url).await.is_auth(), "{url}");
    }
}

#[tokio::test]
async fn a_store_that_may_forget_anything_is_refused() {
    for policy in ["allkeys-lru", "allkeys-random"] {
        let Some(server) = Server::start(&format!("maxmemory 50mb\nmaxmemory-policy {policy}"))
        else {
            return;
        };
        let error = refused(&server.url()).await;
        assert!(error.is_eviction_policy());
        assert!(error.to_string().contains(policy), "{error}");
    }
}

#[tokio::test]
async fn a_store_that_is_not_there_is_one_sentence() {
    let url = format!("redis://:secret@{}", free_addr());
    assert!(refused(&url).await.is_unreachable());
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_one_sentence() {
    let Some(server) = Server::start("") else {
        return;
    };
    server.freeze();
    assert!(refused(&server.url()).await.is_unreachable());
}

#[tokio::test]
async fn what_is_no_address_is_one_sentence() {
    refused("http://:secret@example.com").await;
}
