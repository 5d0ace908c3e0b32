use model_studio_sim::{Limits, RefusalKind, Simulator};
use serde_json::{Value, json};

use crate::client::Client;

const PATH: &str = "/compatible-mode/v1/embeddings";

async fn start(limits: Limits) -> (Simulator, Client) {
    let simulator = Simulator::builder()
        .account("a", ["sk-a1"])
        .model("text-embedding-v4", limits)
        .start()
        .await
        .unwrap();
    let client = Client::new(simulator.addr());
    (simulator, client)
}

fn ask(input: &Value) -> Value {
    json!({ "model": "text-embedding-v4", "input": input, "dimensions": 64 })
}

#[tokio::test]
async fn embeds_every_text_in_a_vector_of_length_1() {
    let (simulator, client) = start(Limits::unlimited()).await;
    for (input, vectors) in [
        (json!("count on it!"), 1),
        (json!(["count on it!", "what?"]), 2),
        (json!([101, 102, 103]), 1),
    ] {
        let answer = client.post(PATH, &ask(&input)).await.json();
        let data = answer["data"].as_array().unwrap();
        assert_eq!(data.len(), vectors, "{input}");
        for (index, embedding) in data.iter().enumerate() {
            assert_eq!(embedding["index"], index);
            let vector: Vec<f64> = serde_json::from_value(embedding["embedding"].clone()).unwrap();
            assert_eq!(vector.len(), 64);
            let length: f64 = vector.iter().map(|x| x * x).sum();
            assert!((length - 1.0).abs() < 1e-9);
        }
        assert_eq!(
            answer["usage"]["prompt_tokens"],
            answer["usage"]["total_tokens"]
        );
    }
    assert_eq!(simulator.ledger().tokens(), 3 + 5 + 3);
}

#[tokio::test]
async fn embeds_in_base64_where_asked_to() {
    let (_simulator, client) = start(Limits::unlimited()).await;
    let mut body = ask(&json!("one"));
    body["encoding_format"] = json!("base64");
    let answer = client.post(PATH, &body).await.json();
    let text = answer["data"][0]["embedding"].as_str().unwrap();
    assert_eq!(text.len(), (64_usize * 4).div_ceil(3) * 4);
}

#[tokio::test]
async fn embeddings_are_limited_too() {
    let (simulator, client) = start(Limits::per_minute(1)).await;
    assert_eq!(client.post(PATH, &ask(&json!("one"))).await.status, 200);
    assert_eq!(client.post(PATH, &ask(&json!("one"))).await.status, 429);
    assert_eq!(simulator.ledger().refused(RefusalKind::RequestRate), 1);
    let mut wrong = ask(&json!("one"));
    wrong["dimensions"] = json!(0);
    assert_eq!(client.post(PATH, &wrong).await.status, 400);
}
