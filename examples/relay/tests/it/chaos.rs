//! Everything goes wrong at once, while many stream.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use ::http::{Request, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use model_studio_sim::{Builder, Fault, Latency, Limits, RefusalKind, Simulator, When};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::caller::{CONFIG, KEY, Pair, sum};
use crate::front::Front;
use crate::until::{LONGEST, until};

const CALLERS: u64 = 64;

/// How many streams end between two things that go wrong.
const BETWEEN: u64 = 3 * CALLERS;

/// What became of one stream.
#[derive(Debug)]
enum End {
    /// It came whole: its id and its text.
    Whole { id: String, text: String },
    /// It said within what went wrong, or broke off with an error of the connection. What had come.
    Failed { text: String },
    /// It was refused in words: the status and the code.
    Refused(u16, String),
}

type Caller = Client<HttpConnector, Full<Bytes>>;

fn question(caller: u64, number: usize) -> String {
    format!("caller {caller}, question {number}")
}

fn body(question: &str) -> String {
    format!(
        r#"{{"model":"best","stream":true,"messages":[{{"role":"user","content":"{question}"}}],"max_tokens":30}}"#
    )
}

async fn ask(client: &Caller, base: &str, key: &str, question: &str) -> End {
    let request = Request::post(format!("{base}/chat/completions"))
        .header("authorization", format!("Bearer {key}"))
        .body(Full::from(body(question)))
        .unwrap();
    let response = client.request(request).await;
    let response = response.expect("an answer, good or bad");
    let status = response.status();
    let mut body = response.into_body();
    let mut text = Vec::new();
    let mut cut = false;
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => text.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Err(_) => cut = true,
        }
    }
    let text = String::from_utf8(text).unwrap();
    if status == StatusCode::OK {
        return read(&text, cut);
    }
    let error: Value = serde_json::from_str(&text).expect(&text);
    let error = &error["error"];
    assert!(!cut && error["message"].is_string(), "{text}");
    let code = error["code"].as_str().expect(&text);
    End::Refused(status.as_u16(), code.to_owned())
}

/// Reads a stream as far as it came; `cut` is whether its connection failed.
fn read(stream: &str, cut: bool) -> End {
    let mut ids = HashSet::new();
    let mut text = String::new();
    let (mut done, mut reasons, mut failed) = (false, 0, false);
    for event in stream.split_inclusive("\n\n") {
        let Some(event) = event.strip_suffix("\n\n") else {
            assert!(cut, "half an event, and no error: {stream}");
            break;
        };
        let event = event.strip_prefix("data: ").expect(stream);
        assert!(!done && !failed, "something after the end: {stream}");
        if event == "[DONE]" {
            done = true;
            continue;
        }
        let event: Value = serde_json::from_str(event).expect(stream);
        if event.get("error").is_some() {
            assert!(event["error"]["message"].is_string(), "{stream}");
            failed = true;
            continue;
        }
        ids.insert(event["id"].as_str().expect(stream).to_owned());
        let choice = &event["choices"][0];
        text.push_str(choice["delta"]["content"].as_str().unwrap_or_default());
        reasons += usize::from(choice["finish_reason"].is_string());
    }
    assert!(ids.len() <= 1 && reasons <= 1, "mixed or doubled: {stream}");
    match ids.into_iter().next() {
        Some(id) if done && reasons == 1 && !cut && !failed => End::Whole { id, text },
        _ => {
            assert!(cut || failed, "a part without an error: {stream}");
            End::Failed { text }
        }
    }
}

/// Two accounts behind limits lower than the relay is told, and everything that can go wrong.
fn simulator() -> Builder {
    let event = |kind, after| Fault::ErrorEvent { kind, after };
    let latency = Latency::uniform(Duration::from_millis(1), Duration::from_millis(20));
    Simulator::builder()
        .model("qwen3-max", Limits::per_minute(60_000).per_second(60))
        .model("qwen-plus", Limits::per_minute(60_000).per_second(400))
        .latency(latency)
        .token_time(Duration::from_millis(1))
        .fault(Fault::Refuse(RefusalKind::RequestRate), When::share(0.05))
        .fault(Fault::Reset, When::share(0.02))
        .fault(Fault::ResetInBody, When::share(0.02))
        .fault(Fault::InternalError, When::share(0.02))
        .fault(event(RefusalKind::TokenRate, 0), When::share(0.02))
        .fault(event(RefusalKind::TokenRate, 3), When::share(0.02))
}

/// The relay's configuration in that test; `round` makes it another one each time.
fn config(front: &Front, round: u32) -> String {
    CONFIG
        .replace("BASE_URL", &format!("http://{}/v1", front.addr()))
        .replace("rps = 10, rpm = 600, tpm = 1_000_000", "rps = 200")
        .replace("rps = 20, rpm = 1_200, tpm = 1_000_000", "rps = 400")
        .replace(
            "chain = [\"qwen3-max\", \"plus\"]",
            &format!(
                "chain = [\"qwen3-max\", \"plus\"]\npatience = \"{}ms\"",
                200 + round
            ),
        )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_mixed_or_doubled_when_everything_goes_wrong() {
    let simulator = simulator().start().await.unwrap();
    let mut front = Front::start(simulator.addr()).await;
    let pair = Arc::new(Pair::with(simulator, &config(&front, 0)).await);

    let ended = Arc::new(AtomicU64::new(0));
    let enough = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (base, ended, enough) = (
            pair.relay.base_url(),
            Arc::clone(&ended),
            Arc::clone(&enough),
        );
        callers.spawn(async move {
            let client: Caller = Client::builder(TokioExecutor::new()).build_http();
            let mut ends = Vec::new();
            while !enough.load(Ordering::Relaxed) {
                let question = question(caller, ends.len());
                let one = timeout(LONGEST, ask(&client, &base, KEY, &question)).await;
                ends.push((question, one.expect("an answer in time")));
                ended.fetch_add(1, Ordering::Relaxed);
            }
            ends
        });
    }
    let some_more = async || {
        let from = ended.load(Ordering::Relaxed);
        let reached = || ended.load(Ordering::Relaxed) >= from + BETWEEN;
        until("streams end", reached).await;
    };
    let counted = async |name: &str, label: &str, at_least: u64| {
        let seen = || sum(&pair.relay.metrics(), name, label) >= at_least;
        until(name, seen).await;
    };

    some_more().await;
    assert!(pair.simulator.revoke("sk-a2"));
    counted("relay_refused_total", "kind=\"auth\"", 1).await;
    some_more().await; // now nobody is left who was in flight with it
    let asked = pair.simulator.ledger().invalid_keys;
    assert!(asked <= CALLERS, "{asked} were sent with a revoked key");

    pair.write(&config(&front, 1));
    pair.relay.reload();
    counted("relay_reloads_total", "in_force", 1).await;
    some_more().await;

    front.stop().await;
    counted("relay_upstream_unreachable_total", "", 1).await;
    pair.write("no configuration");
    pair.relay.reload();
    counted("relay_reloads_total", "rejected", 1).await;
    front.start_again().await;
    some_more().await;

    pair.write(&config(&front, 2));
    pair.relay.reload();
    counted("relay_reloads_total", "in_force", 2).await;
    some_more().await;

    enough.store(true, Ordering::Relaxed);
    let ends: Vec<_> = callers.join_all().await.into_iter().flatten().collect();
    until("the last connection is idle", || {
        sum(&pair.relay.metrics(), "relay_open_requests", "") == 0
    })
    .await;

    all_are_themselves(&ends).await;
    all_failures_have_a_cause(&ends, &pair, &front);
    ledger_and_counters_agree(&ends, &pair, &front);
    let again = pair.simulator.ledger().invalid_keys - asked;
    assert_eq!(again, 0, "a key known to be revoked was sent again");
}

/// Every whole stream is the answer to its own question, and every broken one the beginning of it.
async fn all_are_themselves(ends: &[(String, End)]) {
    let direct = Simulator::builder()
        .model("best", Limits::unlimited())
        .start()
        .await
        .unwrap();
    let client: Caller = Client::builder(TokioExecutor::new()).build_http();
    let mut ids = HashSet::new();
    for (question, end) in ends {
        let (End::Whole { text, .. } | End::Failed { text }) = end else {
            continue;
        };
        let right = ask(&client, direct.base_url(), "sk-a1", question).await;
        let End::Whole { text: right, .. } = right else {
            panic!("{right:?}")
        };
        match end {
            End::Whole { id, .. } => {
                assert_eq!(*text, right, "{question}");
                assert!(ids.insert(id), "two had the same answer");
            }
            _ => assert!(right.starts_with(text), "{question}: {text}"),
        }
    }
}

/// What a caller lost is what no relay can give: what was under way when something broke.
fn all_failures_have_a_cause(ends: &[(String, End)], pair: &Pair, front: &Front) {
    let mut refused: BTreeMap<&str, u64> = BTreeMap::new();
    let mut failed = 0;
    for (_, end) in ends {
        match end {
            End::Whole { .. } => {}
            End::Failed { .. } => failed += 1,
            End::Refused(_, code) => *refused.entry(code).or_default() += 1,
        }
    }
    let ledger = pair.simulator.ledger();
    let faults = |name| -> u64 {
        let partitions = ledger.partitions.iter();
        partitions.filter_map(|it| it.faults.get(name)).sum()
    };
    let mut take = |code| refused.remove(code).unwrap_or(0);
    let (broken, unreachable) = (take("upstream_broken"), take("upstream_unreachable"));
    // The last model failed. If the first had no room in time, its caller learns when it has.
    let last = take("internal_error")
        + take("overloaded")
        + take("rate_limit_exceeded")
        + take("limit_requests");
    let (internal, events) = (faults("internal_error"), faults("error_event"));
    assert!(
        last <= internal + events,
        "{last} of {internal} and {events}"
    );
    // No other limit, and no key.
    assert!(refused.is_empty(), "{refused:?}");
    assert!(broken <= faults("reset") + front.cut(), "{broken}");
    let within = faults("reset_in_body") + events + front.cut();
    assert!(failed <= within, "{failed} of {within}");
    assert!(unreachable > 0 || front.cut() > 0);
}

/// Every request that the relay says it sent the simulator has seen, and no other; and what callers
/// were told is what the relay says it told them.
fn ledger_and_counters_agree(ends: &[(String, End)], pair: &Pair, front: &Front) {
    let metrics = pair.relay.metrics();
    let count = |name: &str, label: &str| sum(&metrics, name, label);
    let attempts = count("relay_attempts_total", "");
    let ledger = pair.simulator.ledger();
    let seen = ledger.requests() + ledger.refusals() + ledger.invalid_keys;
    let lost = front.lost();
    assert_eq!(attempts, seen + lost, "{seen} seen, {lost} lost\n{metrics}");
    let ways = count("relay_upstream_admitted_total", "")
        + count("relay_refused_total", "by=\"upstream\"")
        + count("relay_upstream_failed_total", "");
    assert_eq!(attempts, ways, "what became of each\n{metrics}");
    assert_eq!(count("relay_upstream_abandoned_total", ""), 0, "{metrics}");

    assert_eq!(count("relay_answers_total", ""), ends.len() as u64);
    let mut told: BTreeMap<u16, u64> = BTreeMap::new();
    for (_, end) in ends {
        let status = match end {
            End::Refused(status, _) => *status,
            _ => 200,
        };
        *told.entry(status).or_default() += 1;
    }
    for (status, times) in told {
        let label = format!("status=\"{status}\"");
        assert_eq!(count("relay_answers_total", &label), times, "{metrics}");
    }
}
