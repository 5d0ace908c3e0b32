//! What each of many waiters costs, from asking to being sent; of that, what being woken and sent costs;
//! and what the same tasks cost that wait for tower's `ConcurrencyLimit` instead.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a bench"
)]

use std::convert::Infallible;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use http::{Request, Response};
use http_body_util::Full;
use rate_limit_layer::{Limiter, Quota, RateLimitLayer};
use tokio::task::yield_now;
use tower::limit::ConcurrencyLimitLayer;
use tower::{Layer, Service, ServiceExt, service_fn};

const COUNTS: [u64; 3] = [100, 1000, 10_000];

const QUOTA: Quota = Quota::new()
    .requests_per_second(100)
    .requests_per_minute(6000);

type Body = Full<Bytes>;

fn waiters(c: &mut Criterion) {
    let mut group = c.benchmark_group("waiters");
    group.sample_size(10);
    for count in COUNTS {
        group.throughput(Throughput::Elements(count));
        group.bench_with_input(BenchmarkId::from_parameter(count), &count, |b, count| {
            b.iter(|| run(paced, *count));
        });
    }
    group.finish();
}

/// Only from when all wait to when all are sent.
fn wakes(c: &mut Criterion) {
    let mut group = c.benchmark_group("wakes");
    group.sample_size(10);
    for count in COUNTS {
        group.throughput(Throughput::Elements(count));
        group.bench_with_input(BenchmarkId::from_parameter(count), &count, |b, count| {
            b.iter_custom(|times| (0..times).map(|_| run(paced, *count)).sum());
        });
    }
    group.finish();
}

fn others(c: &mut Criterion) {
    let mut group = c.benchmark_group("waiters at a ConcurrencyLimit");
    group.sample_size(10);
    for count in COUNTS {
        group.throughput(Throughput::Elements(count));
        group.bench_with_input(BenchmarkId::from_parameter(count), &count, |b, count| {
            b.iter(|| run(one_at_once, *count));
        });
    }
    group.finish();
}

fn paced() -> impl Client<Response: Send, Future: Send> {
    RateLimitLayer::new(Limiter::new(QUOTA)).layer(service_fn(answer))
}

fn one_at_once() -> impl Client<Response: Send, Future: Send> {
    // It takes a turn of the scheduler, so that all others do wait.
    ConcurrencyLimitLayer::new(1).layer(service_fn(async |request| {
        yield_now().await;
        answer(request).await
    }))
}

async fn answer(_: Request<Body>) -> Result<Response<Body>, Infallible> {
    Ok(Response::new(Full::default()))
}

trait Client: Service<Request<Body>, Error = Infallible> + Clone + Send + 'static {}

impl<S> Client for S where S: Service<Request<Body>, Error = Infallible> + Clone + Send + 'static {}

/// Under a paused clock: what is left of the time is what the waiters cost. Returns how long it took
/// once all of them waited.
fn run<S>(client: impl Fn() -> S, count: u64) -> Duration
where
    S: Client<Response: Send, Future: Send>,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let client = client();
        let tasks: Vec<_> = (0..count)
            .map(|_| tokio::spawn(client.clone().oneshot(Request::new(Full::default()))))
            .collect();
        yield_now().await; // each is polled once
        let began = Instant::now();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        began.elapsed()
    })
}

criterion_group!(benches, waiters, wakes, others);
criterion_main!(benches);
