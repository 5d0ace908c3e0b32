//! What one decision costs: four windows of ours beside one dimension of others, on one clock.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a bench"
)]

use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use governor::RateLimiter;
use governor::clock::MonotonicClock;
use rate_limit_layer::{Charging, Cost, Pacer, Quota};
use tokio::sync::Semaphore;

const COST: Cost = Cost::tokens(900, 300);

/// Large enough that everything is admitted.
const OPEN: Quota = Quota::new()
    .requests_per_second(1 << 40)
    .requests_per_minute(1 << 44)
    .tokens_per_second(1 << 44)
    .tokens_per_minute(1 << 48);

/// Model Studio's quota for Qwen3-Max.
const QWEN3_MAX: Quota = Quota::new()
    .requests_per_second(10)
    .requests_per_minute(600)
    .tokens_per_second(16_667)
    .tokens_per_minute(1_000_000);

fn alone(c: &mut Criterion) {
    let mut group = c.benchmark_group("decision");
    group.bench_function("clock", |b| b.iter(Instant::now));

    let pacer = Pacer::new(OPEN);
    let began = Instant::now();
    group.bench_function("four windows", |b| {
        b.iter(|| pacer.reserve(black_box(began.elapsed()), COST).unwrap());
    });

    let governor = governor();
    group.bench_function("governor", |b| b.iter(|| governor.check().unwrap()));

    let semaphore = Semaphore::new(10);
    group.bench_function("semaphore", |b| {
        b.iter(|| drop(semaphore.try_acquire().unwrap()));
    });

    let leaky = leaky_bucket::RateLimiter::builder()
        .initial(1 << 40)
        .max(1 << 40)
        .interval(Duration::from_secs(3600))
        .build();
    group.bench_function("leaky-bucket", |b| b.iter(|| assert!(leaky.try_acquire(1))));

    // A full log, with time as an argument: as often as the quota allows, in a minute's log of 560.
    let pacer = Pacer::new(QWEN3_MAX.charging(Charging::MaxUpFront));
    let mut now = Duration::ZERO;
    group.bench_function("four windows, full log", |b| {
        b.iter(|| {
            now += Duration::from_millis(107);
            pacer.reserve(black_box(now), COST).unwrap()
        });
    });
    group.bench_function("four windows, no room", |b| {
        b.iter(|| pacer.reserve(black_box(now), COST).unwrap_err());
    });
    group.finish();
}

fn contended(c: &mut Criterion) {
    let mut group = c.benchmark_group("two threads");
    let Apart(pacer) = &Apart(Pacer::new(OPEN));
    let began = Instant::now();
    group.bench_function("four windows", |b| {
        b.iter_custom(|count| {
            both(count, || {
                let _ = black_box(pacer.reserve(began.elapsed(), COST));
            })
        });
    });
    let Apart(governor) = &Apart(governor());
    group.bench_function("governor", |b| {
        b.iter_custom(|count| both(count, || assert!(black_box(governor.check()).is_ok())));
    });
    let Apart(semaphore) = &Apart(Semaphore::new(10));
    group.bench_function("semaphore", |b| {
        b.iter_custom(|count| both(count, || drop(black_box(semaphore.try_acquire()))));
    });
    group.finish();
}

/// In lines of cache of its own: where on the stack something comes to lie, which differs from build to build,
/// else makes it half or twice as fast between two threads.
#[repr(align(128))]
struct Apart<T>(T);

/// How long it takes until two threads have done `count` each.
fn both(count: u64, act: impl Fn() + Sync) -> Duration {
    let barrier = Barrier::new(2);
    let run = || {
        barrier.wait();
        let began = Instant::now();
        (0..count).for_each(|_| act());
        began.elapsed()
    };
    thread::scope(|scope| {
        let other = scope.spawn(run);
        run().max(other.join().unwrap())
    })
}

type Governor = RateLimiter<
    governor::state::NotKeyed,
    governor::state::InMemoryState,
    MonotonicClock,
    governor::middleware::NoOpMiddleware<Instant>,
>;

fn governor() -> Governor {
    let quota = governor::Quota::per_second(NonZeroU32::MAX).allow_burst(NonZeroU32::MAX);
    RateLimiter::direct_with_clock(quota, MonotonicClock)
}

criterion_group!(benches, alone, contended);
criterion_main!(benches);
