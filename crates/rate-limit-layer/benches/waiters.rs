//! What each of many waiters costs, from asking to being sent.

#![allow(clippy::unwrap_used, missing_docs, reason = "a bench")]

use std::convert::Infallible;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use http::{Request, Response};
use http_body_util::Full;
use rate_limit_layer::{Limiter, Quota, RateLimitLayer};
use tower::{Layer, ServiceExt, service_fn};

fn waiters(c: &mut Criterion) {
    let mut group = c.benchmark_group("waiters");
    group.sample_size(10);
    for count in [100, 1000, 10_000] {
        group.throughput(Throughput::Elements(count));
        group.bench_with_input(BenchmarkId::from_parameter(count), &count, |b, count| {
            b.iter(|| run(*count));
        });
    }
    group.finish();
}

/// Under a paused clock: what is left of the time is what the waiters cost.
fn run(count: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let limiter = Limiter::new(
            Quota::new()
                .requests_per_second(100)
                .requests_per_minute(6000),
        );
        let service =
            RateLimitLayer::new(limiter).layer(service_fn(|_: Request<Full<Bytes>>| async {
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
            }));
        let tasks: Vec<_> = (0..count)
            .map(|_| tokio::spawn(service.clone().oneshot(Request::new(Full::default()))))
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
    });
}

criterion_group!(benches, waiters);
criterion_main!(benches);
