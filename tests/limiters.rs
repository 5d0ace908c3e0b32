//! The whole stack against rate limiters that nobody here wrote, and one that is unfair.
//!
//! HAProxy counts by two counters a window, nginx by a bucket of three: neither is what our limiter
//! takes an upstream to be. What is asserted is what they say themselves, and that nothing is lost.
//! How long it took is printed, and can be measured by
//! `cargo test --release -p tests --test limiters -- --nocapture`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "what is measured is shown")]

use std::time::Duration;

use axum::Router;
use axum::routing::post;
use bytes::Bytes;
use fallback_layer::{Candidate, Fallback, FallbackLayer};
use futures_util::StreamExt;
use futures_util::stream;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use key_rotation_layer::{KeyPool, KeyRotation, KeyRotationLayer};
use model_studio_sim::{Limits, Simulator};
use rate_limit_layer::{Limiter, Quota, RateLimit, RateLimitLayer};
use retry_429_layer::{Retry429, Retry429Layer};
use test_support::process::{haproxy, nginx};
use throttle_signal::{Profile, Reader};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tower::{ServiceBuilder, ServiceExt};

const MODEL: &str = "qwen3-max";

/// How often what is counted may come out otherwise. A machine that does much else lets requests arrive at other distances
/// than they are sent, which no client can help; but not every time.
const RUNS: usize = 5;

type HyperClient = Client<HttpConnector, Full<Bytes>>;

fn client() -> HyperClient {
    Client::builder(TokioExecutor::new()).build_http()
}

/// The four layers with one account, reading answers as Model Studio's.
fn stack(quota: Quota) -> Fallback<Retry429<KeyRotation<RateLimit<HyperClient>>>> {
    let reader = Reader::new().profile(Profile::named("model-studio").unwrap());
    let limiter = Limiter::builder().model(MODEL, quota).build();
    let pool = KeyPool::builder().account("a", ["sk-a1"]).build().unwrap();
    ServiceBuilder::new()
        .layer(FallbackLayer::new([Candidate::model(MODEL)]))
        .layer(Retry429Layer::new())
        .layer(KeyRotationLayer::new(pool).headroom(limiter.clone()))
        .layer(RateLimitLayer::new(limiter).reader(reader))
        .service(client())
}

fn chat(url: &str) -> Request<Full<Bytes>> {
    let body = format!(r#"{{"model":"{MODEL}","messages":[{{"role":"user","content":"hello"}}]}}"#);
    let request = Request::post(url)
        .header("authorization", "Bearer sk-a1")
        .header("content-type", "application/json");
    request.body(Full::from(body)).unwrap()
}

/// Sends so many chats, 50 at a time; returns how many were not answered, and how long it took.
async fn run(quota: Quota, url: &str, chats: usize) -> (usize, Duration) {
    let stack = stack(quota);
    let start = Instant::now();
    let sent = stream::iter(0..chats).map(|_| {
        let sent = stack.clone().oneshot(chat(url));
        async {
            sent.await
                .is_ok_and(|answer| answer.status() == StatusCode::OK)
        }
    });
    let answered = sent
        .buffer_unordered(50)
        .filter(|answered| std::future::ready(*answered))
        .count()
        .await;
    (chats - answered, start.elapsed())
}

fn report(name: &str, chats: u32, refused: u64, took: Duration) {
    let ideal = f64::from(chats - 1) / 10.0;
    let took = took.as_secs_f64();
    println!(
        "{name}: {chats} answered, {refused} refused, {took:.2} s = {:.3} x ideal",
        took / ideal
    );
}

const ANSWER: &str = r#"{"choices":[{"message":{"role":"assistant","content":"hello"}}],"usage":{"total_tokens":10}}"#;

/// Ten a second and 600 a minute, for each key; what it refuses counts, too.
fn two_tables(port: u16) -> String {
    let refusal = r#"{"error":{"message":"Requests rate limit exceeded, please try again later.","type":"limit_requests","param":null,"code":"limit_requests"}}"#;
    format!(
        "backend per_second
    stick-table type string len 128 size 1k expire 10s store http_req_rate(1s)
backend per_minute
    stick-table type string len 128 size 1k expire 2m store http_req_rate(60s)
frontend chats
    bind 127.0.0.1:{port}
    stats enable
    stats uri /stats
    acl chat path_beg /v1/
    http-request track-sc0 req.hdr(authorization) table per_second if chat
    http-request track-sc1 req.hdr(authorization) table per_minute if chat
    acl fast sc_http_req_rate(0,per_second) gt 10
    acl much sc_http_req_rate(1,per_minute) gt 600
    http-request deny deny_status 429 content-type application/json string '{refusal}' if chat fast
    http-request deny deny_status 429 content-type application/json string '{refusal}' if chat much
    http-request return status 200 content-type application/json string '{ANSWER}' if chat
"
    )
}

/// What HAProxy says it has denied and let pass.
async fn denied(url: String) -> (u64, u64) {
    let request = Request::get(url).body(Full::default()).unwrap();
    let answer = client().request(request).await.unwrap();
    let csv = answer.into_body().collect().await.unwrap().to_bytes();
    let csv = String::from_utf8(csv.to_vec()).unwrap();
    let mut lines = csv.lines();
    let head: Vec<_> = lines
        .next()
        .unwrap()
        .trim_start_matches("# ")
        .split(',')
        .collect();
    let row: Vec<_> = lines
        .find(|line| line.starts_with("chats,FRONTEND"))
        .unwrap()
        .split(',')
        .collect();
    let field = |name| {
        row[head.iter().position(|field| *field == name).unwrap()]
            .parse()
            .unwrap()
    };
    (field("dreq"), field("hrsp_2xx"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn haproxy_with_two_counters_a_window_refuses_hardly_any() {
    let quota = Quota::new()
        .requests_per_second(10)
        .requests_per_minute(600);
    let mut all = Vec::new();
    for _ in 0..RUNS {
        let Some(haproxy) = haproxy::start(two_tables) else {
            return;
        };
        let (lost, took) = run(quota, &haproxy.url("/v1/chat/completions"), 150).await;
        let (refused, passed) = denied(haproxy.url("/stats;csv")).await;

        report("HAProxy", 150, refused, took);
        assert_eq!(lost, 0);
        assert_eq!(passed, 150);
        // 2 %
        if refused <= 3 {
            return;
        }
        all.push(refused);
    }
    panic!("so many of 150 were refused: {all:?}");
}

/// The same HAProxy refuses a client that does not pace itself: it is a limiter.
#[tokio::test]
async fn haproxy_refuses_who_does_not_pace() {
    let Some(haproxy) = haproxy::start(two_tables) else {
        return;
    };
    let url = haproxy.url("/v1/chat/completions");
    let mut before = 0;
    for _ in 0..RUNS {
        let sent = stream::iter(0..50)
            .map(|_| client().request(chat(&url)))
            .buffer_unordered(50);
        sent.collect::<Vec<_>>().await;
        let (refused, _) = denied(haproxy.url("/stats;csv")).await;
        if refused - before >= 30 {
            return;
        }
        before = refused;
    }
    panic!("it refuses fewer than 30 of 50 at once");
}

/// Ten a second, and room for two more at once; refusals are pages of HTML.
fn small_bucket(port: u16, backend: u16) -> String {
    format!(
        "limit_req_zone $http_authorization zone=chats:1m rate=10r/s;
    limit_req_status 429;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            limit_req zone=chats burst=2 nodelay;
            proxy_pass http://127.0.0.1:{backend};
        }}
    }}"
    )
}

/// What stands behind nginx.
async fn backend() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let router = Router::new().route("/v1/chat/completions", post(async || ANSWER));
    tokio::spawn(async move { axum::serve(listener, router).await });
    port
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_with_a_small_bucket_refuses_few() {
    let backend = backend().await;
    let quota = Quota::new().requests_per_second(10);
    let mut all = Vec::new();
    for _ in 0..RUNS {
        let Some(nginx) = nginx::start(|port| small_bucket(port, backend)) else {
            return;
        };
        let (lost, took) = run(quota, &nginx.url("/v1/chat/completions"), 100).await;
        // It writes a line for each.
        let refused = nginx.output().matches("limiting requests").count() as u64;

        report("nginx", 100, refused, took);
        assert_eq!(lost, 0);
        // 5 %
        if refused <= 5 {
            return;
        }
        all.push(refused);
    }
    panic!("so many of 100 were refused: {all:?}");
}

#[tokio::test]
async fn nginx_refuses_who_does_not_pace() {
    let backend = backend().await;
    let Some(nginx) = nginx::start(|port| small_bucket(port, backend)) else {
        return;
    };
    let url = nginx.url("/v1/chat/completions");
    let mut before = 0;
    for _ in 0..RUNS {
        let sent = stream::iter(0..20)
            .map(|_| client().request(chat(&url)))
            .buffer_unordered(20);
        let answers = sent.collect::<Vec<_>>().await;
        let refused = answers
            .into_iter()
            .map(Result::unwrap)
            .filter(|answer| answer.status() == StatusCode::TOO_MANY_REQUESTS);
        let refused = refused.collect::<Vec<_>>();
        assert!(
            refused
                .iter()
                .all(|answer| answer.headers()["content-type"] == "text/html")
        );
        let all = nginx.output().matches("limiting requests").count();
        assert_eq!(all - before, refused.len());
        if refused.len() >= 10 {
            return;
        }
        before = all;
    }
    panic!("it refuses fewer than 10 of 20 at once");
}

/// Refusals that no pacing can avoid: one in five, for no reason.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_refuses_at_random_answers_all() {
    let limits = Limits::per_minute(60_000).per_second(1_000);
    let studio = Simulator::builder()
        .account("a", ["sk-a1"])
        .model(MODEL, limits)
        .refuse_at_random(0.2)
        .start()
        .await
        .unwrap();
    let quota = Quota::new()
        .requests_per_second(1_000)
        .requests_per_minute(60_000);
    let url = format!("{}/chat/completions", studio.base_url());
    let (lost, took) = run(quota, &url, 500).await;

    let ledger = studio.ledger();
    println!(
        "at random: 500 answered, {} refused, {:.2} s",
        ledger.refusals(),
        took.as_secs_f64()
    );
    assert_eq!(lost, 0);
    assert_eq!(ledger.requests(), 500);
    assert!(ledger.refusals() > 50, "it did refuse");
}
