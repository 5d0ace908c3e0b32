//! What partitions and waiters take of memory, and that they give it back. The same with a million
//! each: `cargo bench -p rate-limit-layer --bench memory`.

use std::convert::Infallible;
use std::task::{Context, Poll, Waker};

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response};
use http_body_util::BodyExt;
use rate_limit_layer::{Cost, Limiter, Pacer, Quota, RateLimitLayer};
use throttle_signal::AccountId;
use tokio::runtime::{Builder, Runtime};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::support::{Body, chat, ms, pass};

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

async fn answer(_: Request<Body>) -> Result<Response<Body>, Infallible> {
    let usage = r#"{"usage":{"prompt_tokens":30,"completion_tokens":500}}"#;
    let mut response = Response::new(Body::from(usage));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    Ok(response)
}

/// How many bytes more are in use after `work` than before.
fn grown(runtime: &Runtime, work: impl Future<Output = ()>) -> i64 {
    allocation_counter::measure(|| runtime.block_on(work)).bytes_current
}

#[test]
fn a_partition_takes_400_bytes_while_it_is_live_and_then_nothing() {
    const COUNT: i64 = 10_000;
    let runtime = runtime();
    let limiter = Limiter::builder().model("qwen3-max", QWEN3_MAX).build();
    let client = RateLimitLayer::new(limiter.clone()).layer(service_fn(answer));
    let account = |n| AccountId::new(format!("account-{n:06}"));
    // Whatever is made once.
    grown(&runtime, async {
        client.clone().oneshot(chat("m", 9)).await.unwrap();
        limiter.sweep();
    });

    let live = grown(&runtime, async {
        let mut answers = Vec::new();
        for n in 0..COUNT {
            let mut request = chat("qwen3-max", 30);
            request.extensions_mut().insert(account(n));
            answers.push(client.clone().oneshot(request).await.unwrap());
        }
        // An answer takes its time, so a minute's window of tokens has two entries.
        pass(3_000).await;
        for answer in answers {
            answer.into_body().collect().await.unwrap();
        }
    });
    assert!(live <= 400 * COUNT, "{} bytes each", live / COUNT);

    // Nobody comes, and nobody sweeps.
    let rest = grown(&runtime, pass(95_000));
    assert_eq!(limiter.snapshot().len(), 0);
    assert!((-64..64).contains(&(live + rest)), "{}", live + rest);
}

#[test]
fn waiters_that_are_dropped_leave_neither_a_trace_nor_a_byte() {
    const COUNT: usize = 20_000;
    let runtime = runtime();
    let quota = QWEN3_MAX.requests_per_second(1);
    let limiter = Limiter::builder().default_quota(quota).guard(ms(0)).build();
    let client = RateLimitLayer::new(limiter.clone()).layer(service_fn(answer));
    let shown = |limiter: &Limiter| format!("{:?}", limiter.snapshot());

    let mut before = String::new();
    grown(&runtime, async {
        client.clone().oneshot(chat("m", 9)).await.unwrap();
        before = shown(&limiter);
    });
    let left = grown(&runtime, async {
        let mut waiting = Vec::new();
        for n in 0..COUNT {
            let mut client = client.clone();
            let mut future = Box::pin(client.call(chat("m", 9)));
            let mut cx = Context::from_waker(Waker::noop());
            assert!(matches!(future.as_mut().poll(&mut cx), Poll::Pending));
            waiting.push(future);
            if waiting.len() == 100 {
                // In any order, and not all of them.
                waiting.swap(0, n % 100);
                waiting.truncate(n / 100 % 7);
            }
        }
        drop(waiting);
        assert_eq!(shown(&limiter), before);
        pass(1).await; // the driver has nobody left
    });
    assert_eq!(left, 0);
}

#[test]
fn one_that_is_admitted_and_settled_allocates_nothing() {
    let pacer = Pacer::new(QWEN3_MAX).guard(ms(50));
    let mut now = ms(0);
    let mut send = |count| {
        for _ in 0..count {
            now += ms(110);
            let sent = pacer.reserve(now, Cost::tokens(900, 300)).unwrap();
            pacer.settle(now + ms(20), sent, Cost::tokens(880, 320));
        }
    };
    send(1_200); // the logs are as long as they get
    let allocated = allocation_counter::measure(|| send(1_200));
    assert_eq!(allocated.count_total, 0);
}
