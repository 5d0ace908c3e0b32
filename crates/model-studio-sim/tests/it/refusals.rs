use std::time::Duration;

use http::StatusCode;
use model_studio_sim::{Growth, Limits, RefusalKind, Simulator};

use crate::client::Client;

async fn start(limits: Limits) -> (Simulator, Client) {
    let simulator = Simulator::builder()
        .account("a", ["sk-a1", "sk-a2"])
        .account("b", ["sk-b1"])
        .model("qwen3-max", limits)
        .start()
        .await
        .unwrap();
    let client = Client::new(simulator.addr());
    (simulator, client)
}

#[tokio::test]
async fn refuses_what_is_beyond_the_request_rate() {
    let (simulator, client) = start(Limits::per_minute(2)).await;
    for _ in 0..2 {
        assert_eq!(client.chat("qwen3-max", "one").await.status, StatusCode::OK);
    }
    let refusal = client.chat("qwen3-max", "one").await;
    assert_eq!(refusal.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(!refusal.headers.contains_key("retry-after"));
    let error = &refusal.json()["error"];
    assert_eq!(error["code"], "limit_requests");
    assert_eq!(error["type"], "limit_requests");
    let message = error["message"].as_str().unwrap();
    assert!(
        message.starts_with("Requests rate limit exceeded"),
        "{message}"
    );
    assert_eq!(simulator.ledger().refused(RefusalKind::RequestRate), 1);
}

#[tokio::test]
async fn refuses_what_is_beyond_the_token_rate() {
    let (simulator, client) = start(Limits::unlimited().tokens_per_minute(10)).await;
    // Charged at the end, the first may have as many as it likes.
    assert_eq!(client.chat("qwen3-max", "one").await.status, StatusCode::OK);
    let refusal = client.chat("qwen3-max", "one").await;
    assert_eq!(refusal.status, StatusCode::TOO_MANY_REQUESTS);
    let error = &refusal.json()["error"];
    assert_eq!(error["code"], "insufficient_quota");
    let message = error["message"].as_str().unwrap();
    assert!(
        message.starts_with("You exceeded your current quota"),
        "{message}"
    );
    assert!(message.ends_with("error-code#token-limit"), "{message}");
    assert_eq!(simulator.ledger().refused(RefusalKind::TokenRate), 1);
}

#[tokio::test]
async fn refuses_a_key_that_nobody_has() {
    let (simulator, client) = start(Limits::unlimited()).await;
    for key in ["sk-c1", ""] {
        let refusal = client.with_key(key).chat("qwen3-max", "one").await;
        assert_eq!(refusal.status, StatusCode::UNAUTHORIZED);
        let error = &refusal.json()["error"];
        assert_eq!(error["code"], "invalid_api_key");
        assert_eq!(error["message"], "Incorrect API key provided.");
    }
    // The second had no key at all, and is nobody's either.
    assert_eq!(simulator.ledger().invalid_keys, 2);
}

#[tokio::test]
async fn refuses_a_key_once_it_is_revoked_and_no_other() {
    let (simulator, client) = start(Limits::unlimited()).await;
    let status = async |key| client.with_key(key).chat("qwen3-max", "one").await.status;
    assert_eq!(status("sk-a1").await, StatusCode::OK);
    assert!(simulator.revoke("sk-a1"));
    assert!(!simulator.revoke("sk-a1"), "it is gone already");
    assert!(!simulator.revoke("sk-c1"), "nobody ever had it");
    assert_eq!(status("sk-a1").await, StatusCode::UNAUTHORIZED);
    assert_eq!(status("sk-a2").await, StatusCode::OK);
    assert_eq!(simulator.ledger().invalid_keys, 1);
}

#[tokio::test]
async fn keys_of_one_account_share_its_quota() {
    let (_simulator, client) = start(Limits::per_minute(2)).await;
    let status = async |key| client.with_key(key).chat("qwen3-max", "one").await.status;
    assert_eq!(status("sk-a1").await, StatusCode::OK);
    assert_eq!(status("sk-a2").await, StatusCode::OK);
    assert_eq!(status("sk-a1").await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(status("sk-a2").await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(status("sk-b1").await, StatusCode::OK);
}

#[tokio::test]
async fn names_the_wait_only_where_told_to() {
    let simulator = Simulator::builder()
        .account("a", ["sk-a1"])
        .model("qwen3-max", Limits::per_minute(1))
        .retry_after(true)
        .start()
        .await
        .unwrap();
    let client = Client::new(simulator.addr());
    client.chat("qwen3-max", "one").await;
    let refusal = client.chat("qwen3-max", "one").await;
    let seconds: u64 = refusal.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
}

#[tokio::test]
async fn refuses_a_share_at_random_and_the_same_for_the_same_seed() {
    let run = async |seed| {
        let simulator = Simulator::builder()
            .account("a", ["sk-a1"])
            .model("qwen3-max", Limits::unlimited())
            .refuse_at_random(0.2)
            .seed(seed)
            .start()
            .await
            .unwrap();
        let client = Client::new(simulator.addr());
        let mut refused = Vec::new();
        for _ in 0..500 {
            refused.push(client.chat("qwen3-max", "one").await.status != StatusCode::OK);
        }
        let count = refused.iter().filter(|refused| **refused).count();
        assert_eq!(simulator.ledger().refusals(), count as u64);
        assert_eq!(simulator.ledger().requests(), 500 - count as u64);
        refused
    };
    let first = run(1).await;
    let count = first.iter().filter(|refused| **refused).count();
    assert!((70..=130).contains(&count), "{count} of 500");
    assert_eq!(run(1).await, first);
    assert_ne!(run(2).await, first);
}

#[tokio::test]
async fn refuses_an_account_that_is_overdue_whatever_its_key() {
    let simulator = Simulator::builder()
        .account("a", ["sk-a1", "sk-a2"])
        .account("b", ["sk-b1"])
        .overdue("a")
        .start()
        .await
        .unwrap();
    let client = Client::new(simulator.addr());
    for key in ["sk-a1", "sk-a2"] {
        let refusal = client.with_key(key).chat("qwen3-max", "one").await;
        assert_eq!(refusal.status, StatusCode::BAD_REQUEST);
        assert_eq!(refusal.json()["error"]["code"], "Arrearage");
    }
    let other = client.with_key("sk-b1").chat("qwen3-max", "one").await;
    assert_eq!(other.status, StatusCode::OK);
    assert_eq!(simulator.ledger().refused(RefusalKind::Arrears), 2);
}

#[tokio::test]
async fn refuses_when_the_trial_credit_is_gone() {
    let (simulator, client) = start(Limits::unlimited().free_tokens(10)).await;
    assert_eq!(client.chat("qwen3-max", "one").await.status, StatusCode::OK);
    let refusal = client.chat("qwen3-max", "one").await;
    assert_eq!(refusal.status, StatusCode::FORBIDDEN);
    let error = &refusal.json()["error"];
    assert_eq!(error["code"], "AllocationQuota.FreeTierOnly");
    let message = error["message"].as_str().unwrap();
    assert!(
        message.starts_with("Free allocated quota exceeded"),
        "{message}"
    );
    assert_eq!(simulator.ledger().refused(RefusalKind::FreeQuota), 1);
}

#[tokio::test]
async fn refuses_a_rate_that_grows_too_quickly() {
    let growth = Growth::new(2, 150, Duration::from_secs(600));
    let (simulator, client) = start(Limits::per_minute(1000).growth(growth)).await;
    for _ in 0..2 {
        assert_eq!(client.chat("qwen3-max", "one").await.status, StatusCode::OK);
    }
    let refusal = client.chat("qwen3-max", "one").await;
    assert_eq!(refusal.status, StatusCode::TOO_MANY_REQUESTS);
    let error = &refusal.json()["error"];
    assert_eq!(error["code"], "limit_burst_rate");
    let message = error["message"].as_str().unwrap();
    assert!(
        message.starts_with("Request rate increased too quickly"),
        "{message}"
    );
    assert_eq!(simulator.ledger().refused(RefusalKind::Burst), 1);
}
