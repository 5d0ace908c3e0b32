use model_studio_sim::{Ledger, Limits, RefusalKind, Simulator, Unit};

use crate::client::Client;

#[tokio::test]
async fn tells_over_http_what_it_tells_the_library() {
    let simulator = Simulator::builder()
        .account("a", ["sk-a1", "sk-a2"])
        .model(
            "qwen3-max",
            Limits::per_minute(3).tokens_per_minute(1_000_000),
        )
        .model("qwen-plus", Limits::unlimited())
        .start()
        .await
        .unwrap();
    let client = Client::new(simulator.addr());
    for key in ["sk-a1", "sk-a2", "sk-a2", "sk-a2"] {
        client.with_key(key).chat("qwen3-max", "one").await;
    }
    client.with_key("sk-no").chat("qwen3-max", "one").await;

    let told = client.get("/sim/ledger").await.json();
    assert_eq!(told["invalid_keys"], 1);
    assert_eq!(told["partitions"][0]["refused"]["request_rate"], 1);
    let mut told: Ledger = serde_json::from_value(told).unwrap();
    let ledger = simulator.ledger();
    told.seconds = ledger.seconds;
    assert_eq!(told, ledger);

    let partition = ledger.partition("a", "qwen3-max").unwrap();
    assert_eq!(partition.tally.requests, 3);
    assert_eq!(partition.tally.refused[&RefusalKind::RequestRate], 1);
    assert_eq!(partition.keys["sk-a1"], 1);
    assert_eq!(partition.keys["sk-a2"], 3);
    let [requests, tokens] = &partition.tally.windows[..] else {
        panic!("{:?}", partition.tally.windows);
    };
    assert_eq!(
        (requests.unit, requests.limit, requests.highest),
        (Unit::Requests, 3, 3)
    );
    assert_eq!(
        (tokens.unit, tokens.highest),
        (Unit::Tokens, partition.tally.tokens)
    );
    assert!(tokens.highest > 0);
    assert_eq!(
        ledger.partition("a", "qwen-plus").unwrap().tally.requests,
        0
    );
    assert_eq!(ledger.partition("b", "qwen3-max"), None);
}

#[tokio::test]
async fn asks_for_no_key_and_shows_none_where_nobody_asked() {
    let builder = Simulator::builder().account("a", ["sk-a1"]);
    assert!(!format!("{builder:?}").contains("sk-"), "{builder:?}");
    let simulator = builder.start().await.unwrap();
    assert!(!format!("{simulator:?}").contains("sk-"), "{simulator:?}");
    let client = Client::new(simulator.addr()).with_key("sk-no");
    assert_eq!(client.get("/sim/ledger").await.status, 200);
    assert_eq!(simulator.ledger().invalid_keys, 0);
}

#[tokio::test]
async fn has_two_accounts_and_four_models_unless_told_otherwise() {
    let simulator = Simulator::builder().start().await.unwrap();
    let client = Client::new(simulator.addr());
    for key in ["sk-a1", "sk-a2", "sk-b1"] {
        client.with_key(key).chat("qwen3-max", "one").await;
    }
    let ledger = simulator.ledger();
    assert_eq!(ledger.partitions.len(), 2 * 4);
    assert_eq!(
        ledger.partition("a", "qwen3-max").unwrap().tally.requests,
        2
    );
    assert_eq!(
        ledger.partition("b", "qwen3-max").unwrap().tally.requests,
        1
    );
    let limits = |model| {
        let windows = &ledger.partition("a", model).unwrap().tally.windows;
        windows
            .iter()
            .map(|window| window.limit)
            .collect::<Vec<_>>()
    };
    assert_eq!(limits("qwen3-max"), [600, 10, 1_000_000]);
    assert_eq!(limits("qwen3-max-2025-09-23"), [60, 1, 100_000]);
}
