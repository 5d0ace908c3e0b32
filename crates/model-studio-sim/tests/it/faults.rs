use std::time::Duration;

use http::StatusCode;
use http_body_util::BodyExt as _;
use model_studio_sim::{Fault, Limits, RefusalKind, Simulator, When};
use serde_json::{Value, json};

use crate::client::{CHAT, Client, prompt};

/// The second request of every simulator here goes wrong.
async fn start(fault: Fault) -> (Simulator, Client) {
    let simulator = Simulator::builder()
        .account("a", ["sk-a1"])
        .model(
            "qwen3-max",
            Limits::per_minute(1000).tokens_per_minute(1_000_000),
        )
        .fault(fault, When::requests([2]))
        .start()
        .await
        .unwrap();
    let client = Client::new(simulator.addr());
    assert_eq!(client.chat("qwen3-max", "one").await.status, StatusCode::OK);
    (simulator, client)
}

fn stream() -> Value {
    let mut body = prompt("qwen3-max", "one");
    body["stream"] = json!(true);
    body
}

/// Tokens of the first request, requests that were admitted.
fn charged(simulator: &Simulator) -> (u64, u64) {
    (simulator.ledger().tokens(), simulator.ledger().requests())
}

#[tokio::test]
async fn refuses_for_no_reason_at_no_cost() {
    let kinds = [
        (RefusalKind::RequestRate, 429, "limit_requests"),
        (RefusalKind::TokenRate, 429, "insufficient_quota"),
        (RefusalKind::Burst, 429, "limit_burst_rate"),
        (RefusalKind::FreeQuota, 403, "AllocationQuota.FreeTierOnly"),
        (RefusalKind::Arrears, 400, "Arrearage"),
        (RefusalKind::InvalidKey, 401, "invalid_api_key"),
        (RefusalKind::Overloaded, 503, "ModelServingError"),
    ];
    for (kind, status, code) in kinds {
        let (simulator, client) = start(Fault::Refuse(kind)).await;
        let before = charged(&simulator);
        let refusal = client.chat("qwen3-max", "one").await;
        assert_eq!(refusal.status, status, "{kind:?}");
        assert_eq!(refusal.json()["error"]["code"], code);
        assert_eq!(charged(&simulator), before);
        let ledger = simulator.ledger();
        assert_eq!(ledger.refused(kind), 1);
        assert_eq!(ledger.partitions[0].faults["refuse"], 1);
        assert_eq!(
            client.chat("qwen3-max", "one").await.status,
            StatusCode::OK,
            "the third"
        );
    }
}

#[tokio::test]
async fn an_internal_error_counts_as_a_request_and_no_tokens() {
    let (simulator, client) = start(Fault::InternalError).await;
    let (tokens, _) = charged(&simulator);
    let error = client.chat("qwen3-max", "one").await;
    assert_eq!(error.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(error.json()["error"]["code"], "internal_error");
    assert_eq!(charged(&simulator), (tokens, 2));
}

#[tokio::test]
async fn hangs_until_the_caller_leaves() {
    let (simulator, client) = start(Fault::Hang).await;
    let hanging = tokio::spawn({
        let client = client.clone();
        async move { client.chat("qwen3-max", "one").await.status }
    });
    while simulator.ledger().partitions[0].faults.is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        client.chat("qwen3-max", "one").await.status,
        StatusCode::OK,
        "the third"
    );
    assert!(!hanging.is_finished());
    let (before, _) = charged(&simulator);
    hanging.abort();
    // What was read of it is charged once the connection is gone.
    while charged(&simulator).0 == before {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn resets_the_connection_in_place_of_an_answer() {
    let (_simulator, client) = start(Fault::Reset).await;
    let request = client.request(CHAT, Some(&prompt("qwen3-max", "one")));
    let error = client.try_send(request).await.unwrap_err();
    assert!(is_reset(&error), "{error:?}");
}

#[tokio::test]
async fn what_a_limit_refuses_goes_wrong_in_no_other_way() {
    let simulator = Simulator::builder()
        .account("a", ["sk-a1"])
        .model("qwen3-max", Limits::per_minute(1))
        .fault(Fault::Hang, When::requests([2]))
        .start()
        .await
        .unwrap();
    let client = Client::new(simulator.addr());
    for status in [200, 429] {
        assert_eq!(client.chat("qwen3-max", "one").await.status, status);
    }
    assert!(simulator.ledger().partitions[0].faults.is_empty());
}

/// Over HTTP/2 it is the connection of others too.
#[tokio::test]
async fn a_reset_takes_everything_on_the_connection_with_it() {
    let simulator = Simulator::builder()
        .account("a", ["sk-a1"])
        .model("qwen3-max", Limits::unlimited())
        .fault(Fault::Hang, When::requests([2]))
        .fault(Fault::Reset, When::requests([3]))
        .start()
        .await
        .unwrap();
    let client = Client::http_2(simulator.addr());
    let send = || client.try_send(client.request(CHAT, Some(&prompt("qwen3-max", "one"))));
    assert_eq!(send().await.unwrap().status(), StatusCode::OK);
    let hanging = tokio::spawn(send());
    while simulator.ledger().partitions[0].faults.is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(send().await.is_err());
    assert!(hanging.await.unwrap().is_err());
    assert_eq!(send().await.unwrap().status(), StatusCode::OK, "a new one");
}

#[tokio::test]
async fn resets_the_connection_in_the_middle_of_an_answer() {
    for body in [prompt("qwen3-max", "one"), stream()] {
        let (_simulator, client) = start(Fault::ResetInBody).await;
        let response = client
            .try_send(client.request(CHAT, Some(&body)))
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let mut body = response.into_body();
        assert!(
            !body
                .frame()
                .await
                .unwrap()
                .unwrap()
                .into_data()
                .unwrap()
                .is_empty()
        );
        let error = loop {
            if let Err(error) = body.frame().await.unwrap() {
                break error;
            }
        };
        assert!(is_reset(&error), "{error:?}");
    }
}

fn is_reset(error: &(dyn std::error::Error + 'static)) -> bool {
    let source = std::iter::successors(Some(error), |error| error.source());
    source
        .filter_map(|error| error.downcast_ref::<std::io::Error>())
        .any(|error| error.kind() == std::io::ErrorKind::ConnectionReset)
}

#[tokio::test]
async fn ends_in_the_middle_as_if_it_were_complete() {
    let (_simulator, client) = start(Fault::Truncate).await;
    let whole = client.chat("qwen3-max", "one").await;
    assert_eq!(whole.status, StatusCode::OK);
    assert!(serde_json::from_slice::<Value>(&whole.body).is_err());

    let (_simulator, client) = start(Fault::Truncate).await;
    let events = client.post(CHAT, &stream()).await.events();
    assert!(events.len() > 1);
    assert!(
        events
            .iter()
            .all(|event| event["choices"][0]["finish_reason"].is_null())
    );
    assert!(!events.contains(&Value::Null), "[DONE]");
}

#[tokio::test]
async fn a_200_can_have_an_error_inside() {
    let kind = RefusalKind::TokenRate;
    for after in [0, 3] {
        let (_simulator, client) = start(Fault::ErrorEvent { kind, after }).await;
        let answer = client.post(CHAT, &stream()).await;
        assert_eq!(answer.status, StatusCode::OK);
        let mut events = answer.events();
        assert_eq!(events.pop().unwrap()["error"]["code"], "insufficient_quota");
        assert_eq!(events.len(), after as usize);
        assert!(events.iter().all(|event| event["choices"].is_array()));
    }
    let (_simulator, client) = start(Fault::ErrorEvent { kind, after: 0 }).await;
    let answer = client.chat("qwen3-max", "one").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json()["error"]["code"], "insufficient_quota");
}

#[tokio::test(start_paused = true)]
async fn trickles() {
    let pause = Duration::from_secs(10);
    for body in [prompt("qwen3-max", "one"), stream()] {
        let (_simulator, client) = start(Fault::Trickle(pause)).await;
        let start = tokio::time::Instant::now();
        let slow = client.post(CHAT, &body).await;
        // A piece is an event, or 64 bytes.
        let pieces = match &body["stream"] {
            Value::Null => slow.body.len().div_ceil(64),
            _ => slow.events().len(),
        };
        assert_eq!(start.elapsed().as_secs(), 10 * pieces as u64);
        assert_eq!(slow.body.len(), client.post(CHAT, &body).await.body.len());
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_is_charged_for_what_it_was_sent() {
    let (simulator, client) = start(Fault::Trickle(Duration::from_secs(1))).await;
    let (first, _) = charged(&simulator);
    let request = client.request(CHAT, Some(&stream()));
    let mut body = client.try_send(request).await.unwrap().into_body();
    for _ in 0..3 {
        body.frame().await.unwrap().unwrap();
    }
    drop(body);
    while charged(&simulator).0 == first {
        tokio::task::yield_now().await;
    }
    // The role, and two events of eight tokens: less than the first had, which was the same.
    let (both, _) = charged(&simulator);
    assert_eq!(both - first, 1 + 4 + 3 + 16);
    assert!(both < 2 * first);
}

#[tokio::test]
async fn a_share_of_the_requests_goes_wrong() {
    let simulator = Simulator::builder()
        .account("a", ["sk-a1"])
        .model("qwen3-max", Limits::unlimited())
        .fault(Fault::InternalError, When::share(0.1))
        .fault(Fault::Refuse(RefusalKind::Overloaded), When::share(0.1))
        .start()
        .await
        .unwrap();
    let client = Client::new(simulator.addr());
    let mut statuses = std::collections::BTreeMap::new();
    for _ in 0..1000 {
        let answer = client.chat("qwen3-max", "one").await;
        *statuses.entry(answer.status.as_u16()).or_insert(0) += 1;
    }
    assert!((70..=130).contains(&statuses[&500]), "{statuses:?}");
    assert!((60..=120).contains(&statuses[&503]), "{statuses:?}");
    assert_eq!(statuses.len(), 3);
}
