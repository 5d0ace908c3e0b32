use http::StatusCode;
use model_studio_sim::{Fault, Limits, RefusalKind, Simulator, When};
use serde_json::{Value, json};

use crate::client::Client;

const PATH: &str = "/api/v1/services/aigc/text-generation/generation";

async fn unlimited() -> (Simulator, Client) {
    let simulator = Simulator::builder()
        .account("a", ["sk-a1"])
        .model("qwen3-max", Limits::unlimited())
        .start()
        .await
        .unwrap();
    let client = Client::new(simulator.addr());
    (simulator, client)
}

fn ask(parameters: &Value) -> Value {
    json!({
        "model": "qwen3-max",
        "input": { "messages": [{ "role": "user", "content": "one" }] },
        "parameters": parameters,
    })
}

#[tokio::test]
async fn answers_in_its_own_envelope_what_it_answers_in_the_other() {
    let (simulator, client) = unlimited().await;
    let compatible = client.chat("qwen3-max", "one").await.json();
    let content = &compatible["choices"][0]["message"]["content"];

    let message = client
        .post(PATH, &ask(&json!({ "result_format": "message" })))
        .await
        .json();
    let choice = &message["output"]["choices"][0];
    assert_eq!(&choice["message"]["content"], content);
    assert_eq!(choice["finish_reason"], "stop");
    let usage = &message["usage"];
    assert_eq!(usage["input_tokens"], compatible["usage"]["prompt_tokens"]);
    assert_eq!(
        usage["output_tokens"],
        compatible["usage"]["completion_tokens"]
    );
    assert!(message["request_id"].is_string());

    let text = client
        .post(
            PATH,
            &ask(&json!({ "result_format": "text", "max_tokens": 3 })),
        )
        .await;
    let text = text.json();
    assert_eq!(text["output"]["finish_reason"], "length");
    assert_eq!(text["usage"]["output_tokens"], 3);
    assert!(
        content
            .as_str()
            .unwrap()
            .starts_with(text["output"]["text"].as_str().unwrap())
    );

    let bare = json!({ "model": "qwen3-max", "input": { "prompt": "one" } });
    assert_eq!(client.post(PATH, &bare).await.status, StatusCode::OK);
    assert_eq!(simulator.ledger().requests(), 4);
}

#[tokio::test]
async fn streams_what_is_new_or_all_so_far() {
    let (_simulator, client) = unlimited().await;
    let whole = client.post(PATH, &ask(&json!({}))).await.json();
    let whole = &whole["output"]["choices"][0]["message"]["content"];
    for incremental in [true, false] {
        let mut request = client.request(
            PATH,
            Some(&ask(&json!({ "incremental_output": incremental }))),
        );
        request
            .headers_mut()
            .insert("x-dashscope-sse", "enable".parse().unwrap());
        let answer = client.send(request).await;
        let body = std::str::from_utf8(&answer.body).unwrap();
        let data = body.lines().filter_map(|line| line.strip_prefix("data:"));
        let events: Vec<Value> = data
            .map(|data| serde_json::from_str(data).unwrap())
            .collect();
        let text = |event: &Value| {
            event["output"]["choices"][0]["message"]["content"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        let last = events.last().unwrap();
        assert_eq!(last["output"]["choices"][0]["finish_reason"], "stop");
        let all = if incremental {
            events.iter().map(text).collect()
        } else {
            text(last)
        };
        assert_eq!(all, whole.as_str().unwrap());
        assert!(body.starts_with("id:1\nevent:result\n:HTTP_STATUS/200\ndata:"));
    }
}

#[tokio::test]
async fn refuses_in_its_own_words() {
    let kinds = [
        (
            RefusalKind::RequestRate,
            429,
            "Throttling.RateQuota",
            "Requests rate limit exceeded",
        ),
        (
            RefusalKind::TokenRate,
            429,
            "Throttling.AllocationQuota",
            "Allocated quota exceeded",
        ),
        (
            RefusalKind::Burst,
            429,
            "Throttling.BurstRate",
            "Request rate increased too quickly",
        ),
        (
            RefusalKind::FreeQuota,
            429,
            "Throttling.AllocationQuota",
            "Free allocated quota exceeded",
        ),
        (RefusalKind::Arrears, 400, "Arrearage", "Access denied"),
        (
            RefusalKind::InvalidKey,
            401,
            "InvalidApiKey",
            "Invalid API-key provided.",
        ),
        (
            RefusalKind::Overloaded,
            503,
            "ModelServingError",
            "Too many requests.",
        ),
    ];
    for (kind, status, code, message) in kinds {
        let simulator = Simulator::builder()
            .fault(Fault::Refuse(kind), When::share(1.0))
            .start()
            .await
            .unwrap();
        let client = Client::new(simulator.addr());
        let refusal = client.post(PATH, &ask(&json!({}))).await;
        assert_eq!(refusal.status, status, "{kind:?}");
        let refusal = refusal.json();
        assert_eq!(refusal["code"], code);
        assert!(refusal["message"].as_str().unwrap().starts_with(message));
        assert!(refusal["request_id"].is_string());
    }
}

#[tokio::test]
async fn an_error_inside_a_stream_says_its_status() {
    let kind = RefusalKind::Burst;
    let simulator = Simulator::builder()
        .fault(Fault::ErrorEvent { kind, after: 1 }, When::share(1.0))
        .start()
        .await
        .unwrap();
    let client = Client::new(simulator.addr());
    let mut request = client.request(PATH, Some(&ask(&json!({}))));
    request
        .headers_mut()
        .insert("accept", "text/event-stream".parse().unwrap());
    let answer = client.send(request).await;
    let body = std::str::from_utf8(&answer.body).unwrap();
    assert!(body.contains("event:result"));
    assert!(
        body.contains("event:error\n:HTTP_STATUS/429\ndata:{\"code\":\"Throttling.BurstRate\""),
        "{body}"
    );
}
