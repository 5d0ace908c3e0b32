use std::time::Duration;

use http::StatusCode;
use model_studio_sim::Simulator;

use crate::caller::{CONFIG, Pair, hello, whole};

/// Asks until the relay knows, or not, a model; for 20 s at most.
async fn until_known(pair: &Pair, model: &str, known: bool) {
    for _ in 0..400 {
        let answer = whole(pair.send(pair.get(&format!("/v1/models/{model}"))).await).await;
        if (answer.status() == StatusCode::OK) == known {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!(
        "the configuration did not take effect:\n{}",
        pair.relay.metrics()
    );
}

#[tokio::test]
async fn a_change_takes_effect_and_drops_no_stream() {
    let simulator = Simulator::builder().token_time(Duration::from_millis(50));
    let pair = Pair::start(simulator, CONFIG).await;
    let body = r#"{"model":"best","stream":true,"messages":[{"role":"user","content":"hello"}],"max_tokens":60}"#;
    let answer = pair.send(pair.post("/chat/completions", body)).await;
    pair.write(&CONFIG.replace("\"plus\"", "\"newer\""));
    until_known(&pair, "newer", true).await;
    until_known(&pair, "plus", false).await;
    let text = whole(answer).await.into_body();
    assert!(text.ends_with(b"data: [DONE]\n\n"));
    assert_eq!(pair.chat(hello("newer")).await.status(), StatusCode::OK);
    assert!(
        pair.relay
            .metrics()
            .contains(r#"relay_reloads_total{outcome="in_force"} 1"#)
    );
}

#[tokio::test]
async fn a_bad_file_leaves_the_old_one_in_force() {
    let pair = Pair::usual().await;
    pair.write(
        &CONFIG
            .replace("qwen3-max\"", "other\"")
            .replace("rps = 10", "rps = 0"),
    );
    pair.relay.reload();
    for _ in 0..400 {
        if pair.relay.metrics().contains(r#"outcome="rejected"} 1"#) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(pair.relay.metrics().contains(r#"outcome="rejected"}"#));
    assert_eq!(pair.chat(hello("qwen3-max")).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn accounts_come_and_go() {
    let pair = Pair::usual().await;
    let without_b = CONFIG.replace(
        "[[account]]\nname = \"b\"\nprovider = \"studio\"\nkeys = [\"sk-b1\"]\n",
        "",
    );
    pair.write(&without_b.replace("\"plus\"", "\"newer\""));
    until_known(&pair, "newer", true).await;
    for _ in 0..4 {
        assert_eq!(pair.chat(hello("qwen3-max")).await.status(), StatusCode::OK);
    }
    let ledger = pair.simulator.ledger();
    assert_eq!(
        ledger.partition("a", "qwen3-max").unwrap().tally.requests,
        4
    );
    assert_eq!(
        ledger.partition("b", "qwen3-max").unwrap().tally.requests,
        0
    );
}
