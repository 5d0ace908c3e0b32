use std::time::Duration;

use http::StatusCode;
use http_body_util::BodyExt as _;
use model_studio_sim::{Limits, Simulator, Window};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::client::{CHAT, Client, prompt};

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

#[tokio::test]
async fn answers_a_chat_with_the_usage_that_it_has() {
    let (simulator, client) = unlimited().await;

    let answer = client
        .chat("qwen3-max", "Why do quotas have windows?")
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers["content-type"], "application/json");
    assert!(answer.headers.contains_key("x-request-id"));
    let answer = answer.json();
    assert_eq!(answer["object"], "chat.completion");
    assert_eq!(answer["model"], "qwen3-max");
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    assert_eq!(answer["choices"][0]["message"]["role"], "assistant");

    let usage = &answer["usage"];
    assert_eq!(
        usage["prompt_tokens"],
        7 + 4 + 3,
        "27 characters, 1 message"
    );
    let text = answer["choices"][0]["message"]["content"].as_str().unwrap();
    let completion = usage["completion_tokens"].as_u64().unwrap();
    assert_eq!(text.len() as u64, completion * 4);
    assert!((20..=200).contains(&completion));
    assert_eq!(usage["total_tokens"], 14 + completion);
    assert_eq!(simulator.ledger().tokens(), 14 + completion);
}

#[tokio::test]
async fn a_model_may_be_called_anything() {
    let name = "ours \"large\" \\ 大";
    let simulator = Simulator::builder().model(name, Limits::unlimited());
    let simulator = simulator.start().await.unwrap();
    let client = Client::new(simulator.addr());
    assert_eq!(client.chat(name, "one").await.json()["model"], name);
    let mut body = prompt(name, "one");
    body["stream"] = json!(true);
    let events = client.post(CHAT, &body).await.events();
    assert_eq!(events[0]["model"], name);
}

#[tokio::test]
async fn gives_the_same_prompt_the_same_answer() {
    let (_simulator, client) = unlimited().await;
    let text = |answer: Value| answer["choices"][0]["message"]["content"].clone();
    let first = text(client.chat("qwen3-max", "one").await.json());
    assert_eq!(text(client.chat("qwen3-max", "one").await.json()), first);
    let mut others = Vec::new();
    for other in ["two", "three", "four", "five"] {
        others.push(text(client.chat("qwen3-max", other).await.json()));
    }
    assert!(others.iter().all(|other| *other != first));
}

#[tokio::test]
async fn answers_chinese_in_chinese() {
    let (_simulator, client) = unlimited().await;
    let answer = client.chat("qwen3-max", "请解释什么是配额").await.json();
    assert_eq!(answer["usage"]["prompt_tokens"], 6 + 4 + 3, "8 characters");
    let text = answer["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(text.chars().all(|char| char >= '\u{3000}'), "{text}");
}

#[tokio::test]
async fn is_cut_at_max_tokens() {
    let (_simulator, client) = unlimited().await;
    for field in ["max_tokens", "max_completion_tokens"] {
        let mut body = prompt("qwen3-max", "one");
        body[field] = json!(5);
        let answer = client.post(CHAT, &body).await.json();
        assert_eq!(answer["usage"]["completion_tokens"], 5, "{field}");
        assert_eq!(answer["choices"][0]["finish_reason"], "length", "{field}");
    }
}

#[tokio::test]
async fn streams_the_same_answer_event_by_event() {
    let (simulator, client) = unlimited().await;
    let whole = client.chat("qwen3-max", "one").await.json();

    let mut body = prompt("qwen3-max", "one");
    body["stream"] = json!(true);
    body["stream_options"] = json!({ "include_usage": true });
    let answer = client.post(CHAT, &body).await;
    let kind = answer.headers["content-type"].to_str().unwrap();
    assert!(kind.starts_with("text/event-stream"), "{kind}");
    let mut events = answer.events();

    assert_eq!(events.pop(), Some(Value::Null), "[DONE]");
    let last = events.pop().unwrap();
    assert_eq!(last["usage"], whole["usage"]);
    assert_eq!(last["choices"], json!([]));
    let content = |event: &Value| {
        assert_eq!(event["object"], "chat.completion.chunk");
        assert_eq!(event["usage"], Value::Null);
        event["choices"][0]["delta"]["content"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let text: String = events.iter().map(content).collect();
    assert_eq!(
        text,
        whole["choices"][0]["message"]["content"].as_str().unwrap()
    );
    assert_eq!(events[0]["choices"][0]["delta"]["role"], "assistant");
    assert_eq!(events.pop().unwrap()["choices"][0]["finish_reason"], "stop");

    let total = whole["usage"]["total_tokens"].as_u64().unwrap();
    assert_eq!(simulator.ledger().tokens(), 2 * total);
}

#[tokio::test]
async fn streams_usage_only_where_asked_for() {
    let (_simulator, client) = unlimited().await;
    let mut body = prompt("qwen3-max", "one");
    body["stream"] = json!(true);
    let events = client.post(CHAT, &body).await.events();
    assert!(events.iter().all(|event| event["usage"].is_null()));
}

/// A chat with two tools.
fn with_tools() -> Value {
    let tool = |name: &str| {
        let parameters = json!({"type": "object", "properties": {
            "city": {"type": "string"}, "days": {"type": "integer"}}});
        json!({"type": "function", "function": {"name": name, "parameters": parameters}})
    };
    let mut body = prompt("qwen3-max", "Will it rain?");
    body["tools"] = json!([tool("weather"), tool("calendar")]);
    body
}

#[tokio::test]
async fn calls_a_tool_until_it_has_the_result_of_one() {
    let (simulator, client) = unlimited().await;
    let mut body = with_tools();
    let answer = client.post(CHAT, &body).await.json();
    assert_eq!(answer["choices"][0]["finish_reason"], "tool_calls");
    let message = answer["choices"][0]["message"].clone();
    let call = &message["tool_calls"][0];
    assert_eq!(call["type"], "function");
    assert_eq!(call["function"]["name"], "weather");
    let arguments = call["function"]["arguments"].as_str().unwrap();
    let arguments: Value = serde_json::from_str(arguments).unwrap();
    assert!(arguments["city"].is_string() && arguments["days"].is_u64());

    let id = &call["id"];
    let result = json!({"role": "tool", "tool_call_id": id, "content": "no"});
    let messages = body["messages"].as_array_mut().unwrap();
    messages.extend([message.clone(), result]);
    let answer = client.post(CHAT, &body).await.json();
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    assert!(answer["choices"][0]["message"]["tool_calls"].is_null());
    assert_eq!(simulator.ledger().requests(), 2);
}

#[tokio::test]
async fn calls_the_tool_that_is_named_and_none_where_none_is_wanted() {
    let (_simulator, client) = unlimited().await;
    let mut body = with_tools();
    body["tool_choice"] = json!({"type": "function", "function": {"name": "calendar"}});
    let answer = client.post(CHAT, &body).await.json();
    let call = &answer["choices"][0]["message"]["tool_calls"][0];
    assert_eq!(call["function"]["name"], "calendar");
    body["tool_choice"] = json!("none");
    let answer = client.post(CHAT, &body).await.json();
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
}

#[tokio::test]
async fn streams_the_same_call_of_a_tool_piece_by_piece() {
    let (simulator, client) = unlimited().await;
    let mut body = with_tools();
    let whole = client.post(CHAT, &body).await.json();
    let whole_call = &whole["choices"][0]["message"]["tool_calls"][0]["function"];
    body["stream"] = json!(true);
    let mut events = client.post(CHAT, &body).await.events();
    assert_eq!(events.pop(), Some(Value::Null), "[DONE]");
    let last = events.pop().unwrap();
    assert_eq!(last["choices"][0]["finish_reason"], "tool_calls");
    let call = |event: &Value| event["choices"][0]["delta"]["tool_calls"][0].clone();
    assert_eq!(call(&events[0])["function"]["name"], "weather");
    assert!(call(&events[0])["id"].is_string());
    let arguments: String = events
        .iter()
        .map(|event| {
            call(event)["function"]["arguments"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(whole_call["arguments"], arguments);
    let total = whole["usage"]["total_tokens"].as_u64().unwrap();
    assert_eq!(simulator.ledger().tokens(), 2 * total);
}

#[tokio::test]
async fn lists_its_models() {
    let (_simulator, client) = unlimited().await;
    for path in ["/v1/models", "/compatible-mode/v1/models"] {
        let list = client.get(path).await.json();
        assert_eq!(list["object"], "list");
        assert_eq!(list["data"][0]["id"], "qwen3-max");
        assert_eq!(list["data"][0]["object"], "model");
    }
}

#[tokio::test]
async fn answers_at_the_short_path_too() {
    let (_simulator, client) = unlimited().await;
    let answer = client
        .post("/v1/chat/completions", &prompt("qwen3-max", "one"))
        .await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn says_what_is_wrong_with_a_request() {
    let (simulator, client) = unlimited().await;
    let cases = [
        (
            CHAT,
            json!({ "model": "qwen3-max" }),
            400,
            "invalid_parameter_error",
        ),
        (CHAT, prompt("qwen9", "one"), 404, "model_not_found"),
        ("/v2/chat", prompt("qwen3-max", "one"), 404, "not_found"),
    ];
    for (path, body, status, code) in cases {
        let answer = client.post(path, &body).await;
        assert_eq!(answer.status, status, "{code}");
        assert_eq!(answer.json()["error"]["code"], code);
    }
    assert_eq!(simulator.ledger().requests(), 0);
}

#[tokio::test]
async fn takes_bodies_up_to_32_mib() {
    let (simulator, client) = unlimited().await;
    for (mib, status) in [(31, 200), (33, 413)] {
        let long = "x".repeat(mib << 20);
        assert_eq!(client.chat("qwen3-max", &long).await.status, status);
    }
    assert_eq!(simulator.ledger().requests(), 1);
}

/// A connection closed with a body unread is reset, and the client never learns why.
#[tokio::test]
async fn refuses_who_sends_its_body_later_and_goes_on() {
    let (simulator, _client) = unlimited().await;
    let mut stream = TcpStream::connect(simulator.addr()).await.unwrap();
    for (path, refusal) in [(CHAT, "HTTP/1.1 401 "), ("/v2/chat", "HTTP/1.1 404 ")] {
        let head = format!("POST {path} HTTP/1.1\r\nhost: it\r\ncontent-length: 5\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        for _ in 0..1_000 {
            tokio::task::yield_now().await; // the simulator runs on this thread
        }
        stream.write_all(b"hello").await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with(refusal), "{head}");
        let (_, length) = head.split_once("content-length: ").unwrap();
        let length = length.lines().next().unwrap().parse().unwrap();
        stream.read_exact(&mut vec![0; length]).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn answers_after_its_latency_and_a_time_for_every_token() {
    let simulator = Simulator::builder()
        .account("a", ["sk-a1"])
        .model(
            "qwen3-max",
            Limits::unlimited().window(Window::requests(4, Duration::from_secs(86_400))),
        )
        .latency(Duration::from_secs(5))
        .token_time(Duration::from_secs(1))
        .start()
        .await
        .unwrap();
    let client = Client::new(simulator.addr());
    for stream in [false, true] {
        let start = Instant::now();
        let mut body = prompt("qwen3-max", "one");
        body["max_tokens"] = json!(20);
        body["stream"] = json!(stream);
        let request = client.request(CHAT, Some(&body));
        let response = client.try_send(request).await.unwrap();
        // A whole answer is written before it is sent, a stream as it goes.
        let head = if stream { 5 } else { 25 };
        assert_eq!(start.elapsed().as_secs(), head);
        response.into_body().collect().await.unwrap();
        assert_eq!(start.elapsed().as_secs(), 25);
    }
    // Refusals come at once.
    let start = Instant::now();
    while client.chat("qwen3-max", "one").await.status == StatusCode::OK {}
    let last = Instant::now();
    client.chat("qwen3-max", "one").await;
    assert!(start < last, "some passed");
    assert_eq!(last.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn ends_when_dropped_and_every_connection_with_it() {
    let (simulator, _client) = unlimited().await;
    let addr = simulator.addr();
    let mut open = TcpStream::connect(addr).await.unwrap();
    drop(simulator);
    let read = open.read(&mut [0]).await;
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    // Another test may be given the same port for a while.
    while TcpStream::connect(addr).await.is_ok() {
        tokio::task::yield_now().await;
    }
}
