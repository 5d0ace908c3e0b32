use std::time::Duration;

use rate_limit_layer::shared::{ConnectError, SharedStore};
use test_support::process::free_addr;
use test_support::redis::{Certificates, Server};
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

/// A server that listens over TLS as well, and where.
fn over_tls(config: &str) -> Option<(Certificates, Server, String)> {
    let certificates = Certificates::make()?;
    let addr = free_addr();
    let server = Server::start(&(certificates.config(addr.port()) + config))?;
    Some((certificates, server, format!("rediss://{addr}")))
}

#[tokio::test]
async fn over_tls_both_ends_show_who_they_are() {
    let Some((certificates, _server, url)) = over_tls("tls-auth-clients yes\n") else {
        return;
    };
    let [certificate, key] = certificates.certificate();
    let connected = SharedStore::builder()
        .root_certificates(certificates.authority())
        .client_certificate(certificate, key)
        .connect(&url)
        .await;
    let upstream = Upstream::new();
    let instance = Instance::new(connected.unwrap(), &upstream).busy(10);
    instance.answers(LIMIT).await;
    assert_eq!(instance.finish().await, 0);
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_one_sentence() {
    let Some((_certificates, _server, url)) = over_tls("tls-auth-clients no\n") else {
        return;
    };
    let error = refused(&url).await;
    assert!(error.is_certificate(), "{error:?}");
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
