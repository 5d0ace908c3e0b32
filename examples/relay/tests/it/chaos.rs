//! Everything goes wrong at once, while many stream.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::http::{Request, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use model_studio_sim::{Fault, Latency, Limits, RefusalKind, Simulator, When};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::caller::{CONFIG, KEY, Pair};

/// How long it goes on.
const TIME: Duration = Duration::from_secs(8);

const CALLERS: u64 = 64;

/// Stands in front of an upstream, and cuts all connections when told to.
async fn forward(listen: SocketAddr, to: SocketAddr, mut cut: watch::Receiver<u32>) {
    loop {
        let listener = TcpListener::bind(listen).await.unwrap();
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let (mut caller, _) = accepted.unwrap();
                    connections.spawn(async move {
                        let mut upstream = TcpStream::connect(to).await?;
                        tokio::io::copy_bidirectional(&mut caller, &mut upstream).await
                    });
                }
                told = cut.changed() => {
                    if told.is_err() {
                        return;
                    }
                    break;
                }
            }
        }
        drop((listener, connections));
        sleep(Duration::from_millis(300)).await;
    }
}

/// What became of one stream.
#[derive(Debug, Eq, Hash, PartialEq)]
enum End {
    /// It came whole; its id.
    Whole(String),
    /// It broke off, or said what went wrong within it.
    Broken,
    /// It was refused, in words.
    Refused,
}

type Caller = Client<HttpConnector, Full<Bytes>>;

async fn stream(client: &Caller, base: &str, question: &str) -> End {
    let body = format!(
        r#"{{"model":"best","stream":true,"messages":[{{"role":"user","content":"{question}"}}],"max_tokens":30}}"#
    );
    let request = Request::post(format!("{base}/chat/completions"))
        .header("authorization", format!("Bearer {KEY}"))
        .body(Full::from(body))
        .unwrap();
    let response = client
        .request(request)
        .await
        .expect("an answer, good or bad");
    let status = response.status();
    let mut body = response.into_body();
    let mut text = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => text.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Err(_) => return End::Broken,
        }
    }
    let text = String::from_utf8(text).unwrap();
    if status != StatusCode::OK {
        let error: Value = serde_json::from_str(&text).expect(&text);
        assert!(error["error"]["message"].is_string(), "{text}");
        return End::Refused;
    }
    let events = text
        .split("\n\n")
        .filter_map(|event| event.strip_prefix("data: "));
    let mut ids = HashSet::new();
    let (mut done, mut reasons, mut failed) = (0, 0, false);
    for event in events {
        assert_eq!(done, 0, "something after the end: {text}");
        if event == "[DONE]" {
            done += 1;
            continue;
        }
        let event: Value = serde_json::from_str(event).expect(&text);
        failed |= event.get("error").is_some() || event.get("code").is_some();
        if let Some(id) = event["id"].as_str() {
            ids.insert(id.to_owned());
        }
        if event["choices"][0]["finish_reason"].is_string() {
            reasons += 1;
        }
    }
    assert!(ids.len() <= 1 && reasons <= 1, "mixed or doubled: {text}");
    match ids.into_iter().next() {
        Some(id) if done == 1 && reasons == 1 => End::Whole(id),
        _ => {
            assert!(failed || done == 0, "neither whole nor an error: {text}");
            End::Broken
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_mixed_or_doubled_when_everything_goes_wrong() {
    let event = |kind, after| Fault::ErrorEvent { kind, after };
    let limits = || Limits::per_minute(60_000).per_second(200);
    let simulator = Simulator::builder()
        .model("qwen3-max", limits())
        .model("qwen-plus", limits())
        .latency(Latency::uniform(
            Duration::from_millis(5),
            Duration::from_millis(40),
        ))
        .token_time(Duration::from_millis(2))
        .fault(Fault::Refuse(RefusalKind::RequestRate), When::share(0.05))
        .fault(Fault::Reset, When::share(0.02))
        .fault(Fault::ResetInBody, When::share(0.02))
        .fault(Fault::InternalError, When::share(0.02))
        .fault(event(RefusalKind::TokenRate, 0), When::share(0.02))
        .fault(event(RefusalKind::TokenRate, 3), When::share(0.02));
    let front = test_support::process::free_addr();
    // The key `sk-gone` was revoked: nobody has it.
    let config = CONFIG
        .replace("BASE_URL", &format!("http://{front}/compatible-mode/v1"))
        .replace("\"sk-a2\"", "\"sk-gone\"")
        .replace(
            "rps = 10, rpm = 600, tpm = 1_000_000",
            "rps = 200, rpm = 60_000",
        )
        .replace(
            "rps = 20, rpm = 1_200, tpm = 1_000_000",
            "rps = 200, rpm = 60_000",
        );
    let pair = Arc::new(Pair::start(simulator, &config).await);
    let (cut, cuts) = watch::channel(0);
    let forwarding = tokio::spawn(forward(front, pair.simulator.addr(), cuts));

    let end = Instant::now() + TIME;
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let base = pair.relay.base_url();
        callers.spawn(async move {
            let client: Caller = Client::builder(TokioExecutor::new()).build_http();
            let mut ends = Vec::new();
            while Instant::now() < end {
                let question = format!("caller {caller}, question {}", ends.len());
                let one = stream(&client, &base, &question);
                ends.push(
                    timeout(Duration::from_secs(60), one)
                        .await
                        .expect("an answer"),
                );
            }
            ends
        });
    }
    for round in 1..=3 {
        sleep(TIME / 4).await;
        if round == 2 {
            cut.send_replace(round);
        }
        pair.write(
            &config
                .replace("patience", &format!("# {round}\npatience"))
                .replace(
                    "chain = [\"qwen3-max\", \"plus\"]",
                    &format!("chain = [\"qwen3-max\", \"plus\"]\npatience = \"{round}s\""),
                ),
        );
        pair.relay.reload();
    }
    let mut ends = Vec::new();
    while let Some(caller) = callers.join_next().await {
        ends.extend(caller.unwrap());
    }
    forwarding.abort();

    let whole: Vec<_> = ends
        .iter()
        .filter(|end| matches!(end, End::Whole(_)))
        .collect();
    let distinct: HashSet<_> = whole.iter().collect();
    assert_eq!(whole.len(), distinct.len(), "two had the same answer");
    let refused = ends.iter().filter(|end| **end == End::Refused).count();
    let broken = ends.len() - whole.len() - refused;
    // What breaks within a stream cannot be mended; nearly all else can.
    let share = |count: usize| count * 100 / ends.len();
    assert!(ends.len() > 200, "{} streams", ends.len());
    assert!(
        share(broken) <= 15 && share(refused) <= 10,
        "{} whole, {broken} broken, {refused} refused",
        whole.len()
    );

    ledger_and_counters_agree(&pair);
    let asked = usize::try_from(pair.simulator.ledger().invalid_keys).unwrap();
    assert!(share(asked) < 2, "a revoked key was asked {asked} times");
}

/// Every request that the relay says it sent, the simulator has seen, and none else.
fn ledger_and_counters_agree(pair: &Pair) {
    let metrics = pair.relay.metrics();
    let sum = |name: &str, label: &str| -> u64 {
        let lines = metrics
            .lines()
            .filter(|line| line.starts_with(name) && line.contains(label));
        lines
            .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum()
    };
    let failed = sum("relay_upstream_failed_total", "");
    let sent = sum("relay_upstream_admitted_total", "")
        + sum("relay_refused_total", "by=\"upstream\"")
        + sum("relay_upstream_abandoned_total", "")
        + failed;
    let ledger = pair.simulator.ledger();
    let seen = ledger.requests() + ledger.refusals() + ledger.invalid_keys;
    // A request whose connection was cut may have been seen or not; all others agree.
    assert!(
        seen <= sent && sent - seen <= failed,
        "seen {seen}, sent {sent}, of which {failed} failed\n{metrics}"
    );
    assert!(sum("relay_reloads_total", "in_force") >= 2, "{metrics}");
    assert_eq!(sum("relay_open_requests", ""), 0);
}
