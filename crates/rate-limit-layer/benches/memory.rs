//! What a million partitions and a million cancelled requests take of memory, and that they give it
//! back.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a bench"
)]

use std::convert::Infallible;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use allocation_counter::measure;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use rate_limit_layer::{Limiter, Quota, RateLimitLayer};
use throttle_signal::AccountId;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, sleep};
use tower::{Layer, ServiceExt, service_fn};

const COUNT: i64 = 1_000_000;

/// Model Studio's four windows.
const QWEN3_MAX: Quota = Quota::new()
    .requests_per_second(10)
    .requests_per_minute(600)
    .tokens_per_second(16_667)
    .tokens_per_minute(1_000_000);

fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
}

fn request(model: &str) -> Request<Full<Bytes>> {
    let body = format!(r#"{{"model":"{model}","messages":"Why is the sky blue?"}}"#);
    Request::new(Full::from(body))
}

async fn answer(_: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, Infallible> {
    let usage = r#"{"usage":{"prompt_tokens":30,"completion_tokens":500}}"#;
    let mut response = Response::new(Full::from(usage));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    Ok(response)
}

/// One request each; the answers end three seconds later.
fn partitions(what: &str, others: bool, request: impl Fn(i64) -> Request<Full<Bytes>>) {
    let runtime = runtime();
    let limiter = Limiter::builder()
        .model("qwen3-max", QWEN3_MAX)
        .default_quota(QWEN3_MAX)
        .build();
    let client = RateLimitLayer::new(limiter.clone()).layer(service_fn(answer));
    let live = measure(|| {
        runtime.block_on(async {
            let mut answers = Vec::new();
            for n in 0..COUNT {
                answers.push(client.clone().oneshot(request(n)).await.unwrap());
            }
            sleep(Duration::from_secs(3)).await;
            for answer in answers {
                answer.into_body().collect().await.unwrap();
            }
        });
    });
    assert_eq!(limiter.snapshot().len(), 1_000_000);
    println!(
        "{what}: {} bytes each while live",
        live.bytes_current / COUNT
    );

    // Others come, or nobody does, and no call of `sweep`.
    let (mut longest, began) = (Duration::ZERO, std_now());
    let swept = measure(|| {
        runtime.block_on(async {
            for _ in 0..130 {
                sleep(Duration::from_secs(1)).await;
                if others {
                    let called = std_now();
                    let other = client.clone().oneshot(self::request("other"));
                    other.await.unwrap();
                    longest = longest.max(called.elapsed());
                }
            }
        });
    });
    println!(
        "{what}: {} bytes in all two minutes later, swept in {:.0?}, at most {longest:.1?} at a time",
        live.bytes_current + swept.bytes_current,
        began.elapsed(),
    );
}

#[allow(
    clippy::disallowed_methods,
    reason = "not virtual time, but what it takes"
)]
fn std_now() -> std::time::Instant {
    std::time::Instant::now()
}

fn cancelled() {
    let runtime = runtime();
    let limiter = Limiter::new(QWEN3_MAX.requests_per_second(1));
    let client = RateLimitLayer::new(limiter.clone()).layer(service_fn(answer));
    let mut before = String::new();
    runtime.block_on(async {
        client.clone().oneshot(request("m")).await.unwrap();
        before = format!("{:?}", limiter.snapshot());
    });
    let left = measure(|| {
        runtime.block_on(async {
            let began = Instant::now();
            let mut waiting = Vec::new();
            for n in 0..COUNT {
                let mut future = Box::pin(client.clone().oneshot(request("m")));
                let mut cx = Context::from_waker(Waker::noop());
                assert!(pin!(&mut future).poll(&mut cx).is_pending());
                waiting.push(future);
                if n % 1000 == 999 {
                    waiting.clear();
                }
            }
            assert_eq!(began.elapsed(), Duration::ZERO);
            assert_eq!(format!("{:?}", limiter.snapshot()), before);
            sleep(Duration::from_millis(1)).await;
        });
    });
    println!(
        "cancelled: {} bytes left, the snapshot is as it was",
        left.bytes_current
    );
}

fn main() {
    partitions("accounts of one model", true, |n| {
        let mut request = request("qwen3-max");
        let account = AccountId::new(format!("account-{n:07}"));
        request.extensions_mut().insert(account);
        request
    });
    partitions("models not named, then nothing", false, |n| {
        request(&format!("model-{n:07}"))
    });
    cancelled();
}
