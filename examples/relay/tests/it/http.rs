use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use model_studio_sim::{Fault, Limits, Simulator, When};

use crate::caller::{CONFIG, KEY, Pair, header, hello, json, whole};

#[tokio::test]
async fn an_answer_comes_as_the_upstream_gave_it_and_says_how_it_came_about() {
    let pair = Pair::usual().await;
    let answer = pair.chat(hello("qwen3-max")).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(json(&answer)["model"], "qwen3-max");
    assert_eq!(header(&answer, "x-relay-model"), Some("qwen3-max"));
    assert_eq!(header(&answer, "x-relay-attempts"), Some("1"));
    assert_eq!(header(&answer, "x-relay-waited-ms"), Some("0"));
    let account = header(&answer, "x-relay-account").unwrap();
    assert!(account.len() == 8 && !account.contains("sk"), "{account}");
    assert!(header(&answer, "x-request-id").is_some());
    assert_eq!(header(&answer, "x-fallback-candidate"), None);
}

#[tokio::test]
async fn a_name_of_ours_becomes_the_providers_and_a_chain_is_named_by_who_answered() {
    let pair = Pair::usual().await;
    let answer = pair.chat(hello("plus")).await;
    assert_eq!(json(&answer)["model"], "qwen-plus");
    assert_eq!(header(&answer, "x-relay-model"), Some("plus"));
    let answer = pair.chat(hello("best")).await;
    assert_eq!(header(&answer, "x-relay-model"), Some("qwen3-max"));
    assert_eq!(pair.simulator.ledger().requests(), 2);
}

/// Sends a request to an upstream that answers with the request itself.
async fn echoed(body: &'static [u8], headers: &[(&str, &str)]) -> (http::request::Parts, Bytes) {
    let (pair, mut seen) = Pair::echo(CONFIG).await;
    let mut request = pair.post("/responses?a=b", body);
    for (name, value) in headers {
        let name: http::HeaderName = name.parse().unwrap();
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let answer = whole(pair.send(request).await).await;
    assert_eq!(answer.body(), body);
    seen.recv().await.unwrap()
}

#[tokio::test]
async fn a_request_goes_up_byte_for_byte() {
    let body = br#"  { "unknown" : 1.0e400,  "tools":[{"type":"function"}],"image":"data:image/png;base64,AA==",
        "model":"qwen3-max","nested":{"model":"x"}, "text":"\u00e9\ud83d\ude00 " } "#;
    let (head, seen) = echoed(body, &[("x-custom", "kept"), ("openai-beta", "a=b")]).await;
    assert_eq!(&seen[..], &body[..]);
    assert_eq!(head.uri.path(), "/v1/responses");
    assert_eq!(head.uri.query(), Some("a=b"));
    assert_eq!(head.headers["x-custom"], "kept");
    assert_eq!(head.headers["openai-beta"], "a=b");
}

#[tokio::test]
async fn the_callers_key_stays_here_and_the_accounts_goes_up() {
    let body = br#"{"model":"qwen3-max"}"#;
    let (head, _) = echoed(body, &[("cookie", "a=b"), ("x-relay-place", "9")]).await;
    assert_eq!(head.headers["authorization"], "Bearer sk-a1");
    let all = format!("{:?}", head.headers);
    assert!(
        !all.contains(KEY) && !all.contains("cookie") && !all.contains("x-relay"),
        "{all}"
    );
}

#[tokio::test]
async fn a_stream_comes_event_by_event() {
    let simulator = Simulator::builder().token_time(Duration::from_millis(10));
    let pair = Pair::start(simulator, CONFIG).await;
    let body = r#"{"model":"best","stream":true,"stream_options":{"include_usage":true},
        "messages":[{"role":"user","content":"hello"}],"max_tokens":20}"#;
    let answer = pair.send(pair.post("/chat/completions", body)).await;
    assert_eq!(
        header(&answer, "content-type"),
        Some("text/event-stream;charset=UTF-8")
    );
    let (_, mut body) = answer.into_parts();
    let mut frames = 0;
    let mut text = Vec::new();
    while let Some(frame) = http_body_util::BodyExt::frame(&mut body).await {
        text.extend_from_slice(frame.unwrap().data_ref().unwrap());
        frames += 1;
    }
    let text = String::from_utf8(text).unwrap();
    // How many depends on how events meet on the way; one would be a collected stream.
    assert!(frames >= 2, "{frames} frames");
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    assert!(
        pair.relay
            .metrics()
            .contains(r#"model="qwen3-max",direction="output"} 20"#)
    );
}

#[tokio::test]
async fn an_answer_that_breaks_off_has_its_head_and_what_came_before() {
    for stream in [false, true] {
        let fault = Simulator::builder().fault(Fault::ResetInBody, When::share(1.0));
        let pair = Pair::start(fault, CONFIG).await;
        let body = hello("qwen3-max").replace("\"max", &format!("\"stream\":{stream},\"max"));
        for _ in 0..20 {
            let answer = pair
                .send(pair.post("/chat/completions", body.clone()))
                .await;
            assert_eq!(answer.status(), StatusCode::OK);
            let mut body = answer.into_body();
            let mut failed = false;
            while let Some(frame) = http_body_util::BodyExt::frame(&mut body).await {
                failed |= frame.is_err();
            }
            assert!(failed);
        }
    }
}

#[tokio::test]
async fn what_is_wrong_is_said_in_the_words_of_openai() {
    let config = CONFIG.replace("workers = 2", "workers = 1\n[limits]\nbody = 100_000");
    let pair = Pair::start(Simulator::builder(), &config).await;
    let long = format!(r#"{{"model":"best","x":"{}"}}"#, "x".repeat(100_000));
    for (body, status, code) in [
        ("{", 400, "invalid_json"),
        ("{}", 400, "missing_model"),
        ("[1]", 400, "missing_model"),
        (r#"{"model":"nobody"}"#, 404, "model_not_found"),
        (&long, 413, "request_too_large"),
    ] {
        let answer = pair.chat(body.to_owned()).await;
        assert_eq!(answer.status(), status, "{code}");
        let error = &json(&answer)["error"];
        assert_eq!(error["code"], code);
        assert!(error["message"].is_string() && error["type"].is_string());
    }
    let mut request = pair.post("/chat/completions", hello("best"));
    for (key, status) in [("Bearer sk-other", 401), ("Basic x", 401), ("", 401)] {
        request
            .headers_mut()
            .insert("authorization", key.parse().unwrap());
        let answer = pair.send(request.clone()).await;
        assert_eq!(answer.status(), status, "{key}");
    }
    for (path, status, code) in [
        ("/v1/nothing", 404, "unknown_url"),
        ("/v1/chat/completions", 405, "method_not_allowed"),
    ] {
        let answer = whole(pair.send(pair.get(path)).await).await;
        assert_eq!(answer.status(), status, "{path}");
        assert_eq!(json(&answer)["error"]["code"], code);
    }
    assert_eq!(pair.simulator.ledger().requests(), 0);
}

#[tokio::test]
async fn what_the_upstream_refuses_comes_back_as_it_was() {
    let config = CONFIG.replace("qwen-plus", "no-such-model");
    let pair = Pair::start(Simulator::builder(), &config).await;
    let answer = pair.chat(hello("plus")).await;
    assert!(answer.status().is_client_error());
    assert!(json(&answer)["error"]["message"].is_string());
}

#[tokio::test]
async fn who_waits_too_long_is_told_exactly_when_to_come_again() {
    let config = CONFIG
        .replace("workers = 2", "max_wait = \"100ms\"")
        .replace("rps = 10, rpm = 600", "rpm = 2");
    let limits = Limits::per_minute(2);
    let simulator = Simulator::builder().model("qwen3-max", limits);
    let pair = Pair::start(simulator, &config).await;
    let mut refused = None;
    for _ in 0..6 {
        let answer = pair.chat(hello("qwen3-max")).await;
        if answer.status() != StatusCode::OK {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    let seconds: u64 = header(&refused, "retry-after").unwrap().parse().unwrap();
    let ms: u64 = header(&refused, "retry-after-ms").unwrap().parse().unwrap();
    assert!(ms > 100 && seconds == ms.div_ceil(1000), "{seconds} {ms}");
    assert_eq!(header(&refused, "x-relay-attempts"), Some("0"));
    assert_eq!(header(&refused, "x-should-retry"), None);
    assert!(json(&refused)["error"]["message"].is_string());
    assert_eq!(pair.simulator.ledger().refusals(), 0);
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_a_bad_gateway() {
    let nobody = test_support::process::ClosedPort::new();
    let config = CONFIG
        .replace("BASE_URL", &format!("http://{}/v1", nobody.addr()))
        .replace("workers = 2", "deadline = \"1s\"");
    let pair = Pair::start(Simulator::builder(), &config).await;
    let answer = pair.chat(hello("qwen3-max")).await;
    let code = json(&answer)["error"]["code"].clone();
    assert!(answer.status().is_server_error(), "{}", answer.status());
    assert!(
        code == "upstream_unreachable" || code == "upstream_timeout",
        "{code}"
    );
    assert_eq!(header(&answer, "x-should-retry"), Some("false"));
}

#[tokio::test]
async fn a_client_has_its_own_limits_and_models() {
    let client =
        "[[client]]\nname = \"small\"\nkeys = [\"sk-small\"]\nrpm = 1\nmodels = [\"plus\"]\n";
    let pair = Pair::start(Simulator::builder(), &format!("{CONFIG}\n{client}")).await;
    let ask = async |model| {
        let mut request = pair.post("/chat/completions", hello(model));
        let key = "Bearer sk-small".parse().unwrap();
        request.headers_mut().insert("authorization", key);
        whole(pair.send(request).await).await
    };
    assert_eq!(ask("plus").await.status(), StatusCode::OK);
    let refused = ask("plus").await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    let ms: u64 = header(&refused, "retry-after-ms").unwrap().parse().unwrap();
    assert!((1..=60_000).contains(&ms), "{ms}");
    assert_eq!(pair.chat(hello("plus")).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_models_are_those_that_the_caller_may_use() {
    let pair = Pair::usual().await;
    let answer = json(&whole(pair.send(pair.get("/v1/models")).await).await);
    let names: Vec<_> = answer["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["id"])
        .collect();
    assert_eq!(names, ["best", "qwen3-max", "plus", "embedding"]);
    let one = whole(pair.send(pair.get("/v1/models/plus")).await).await;
    assert_eq!(json(&one)["id"], "plus");
    let none = whole(pair.send(pair.get("/v1/models/none")).await).await;
    assert_eq!(none.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn operators_see_how_it_stands_on_a_listener_of_their_own() {
    let config = format!("{CONFIG}\n[admin]\nlisten = \"127.0.0.1:0\"");
    let pair = Pair::start(Simulator::builder(), &config).await;
    pair.chat(hello("qwen3-max")).await;
    let admin = pair.relay.admin().unwrap();
    for path in ["/healthz", "/readyz", "/metrics", "/status.json"] {
        let mut request = pair.get(path);
        *request.uri_mut() = format!("http://{admin}{path}").parse().unwrap();
        request.headers_mut().clear();
        let answer = whole(pair.send(request).await).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        let text = String::from_utf8(answer.into_body().into()).unwrap();
        assert!(!text.contains("sk-"), "{path}: {text}");
        if path == "/metrics" {
            for name in [
                "upstream_admitted_total",
                "tokens_total",
                "cost_total",
                "first_byte",
            ] {
                assert!(text.contains(&format!("relay_{name}")), "{name}: {text}");
            }
        }
    }
}

#[tokio::test]
async fn callers_see_whether_it_is_there_and_no_more() {
    let keys = format!("{CONFIG}\n[admin]\nkeys = [\"sk-operator\"]");
    let [without, with] = [CONFIG, &keys].map(|it| Pair::start(Simulator::builder(), it));
    let (without, with) = (without.await, with.await);
    assert_eq!(without.relay.admin(), None);
    for (pair, path, key, status) in [
        (&without, "/healthz", "", 200),
        (&without, "/readyz", "", 200),
        (&without, "/metrics", KEY, 404),
        (&without, "/status.json", KEY, 404),
        (&with, "/metrics", KEY, 401),
        (&with, "/metrics", "", 401),
        (&with, "/status.json", "", 401),
        (&with, "/metrics", "sk-operator", 200),
        (&with, "/status.json", "sk-operator", 200),
        (&with, "/v1/models", "sk-operator", 401),
    ] {
        let mut request = pair.get(path);
        let key = format!("Bearer {key}").parse().unwrap();
        request.headers_mut().insert("authorization", key);
        let answer = pair.send(request).await;
        assert_eq!(answer.status(), status, "{path}");
    }
}

#[tokio::test]
async fn an_account_may_have_a_quota_of_its_own() {
    let own = "[[quota]]\naccount = \"a\"\nmodel = \"qwen3-max\"\nlimits = { rpm = 1 }\n";
    let pair = Pair::start(Simulator::builder(), &format!("{CONFIG}\n{own}")).await;
    for _ in 0..6 {
        assert_eq!(pair.chat(hello("qwen3-max")).await.status(), StatusCode::OK);
    }
    let ledger = pair.simulator.ledger();
    let asked = |account| {
        ledger
            .partition(account, "qwen3-max")
            .unwrap()
            .tally
            .requests
    };
    assert_eq!((asked("a"), asked("b")), (1, 5));
}

#[tokio::test]
async fn it_ends_when_the_open_streams_have() {
    let simulator = Simulator::builder().token_time(Duration::from_millis(20));
    let mut pair = Pair::start(simulator, CONFIG).await;
    let body = r#"{"model":"best","stream":true,"messages":[{"role":"user","content":"hello"}],"max_tokens":40}"#;
    let answer = pair.send(pair.post("/chat/completions", body)).await;
    pair.relay.end();
    let text = whole(answer).await.into_body();
    assert!(text.ends_with(b"data: [DONE]\n\n"));
    pair.relay.ended().await;
}
