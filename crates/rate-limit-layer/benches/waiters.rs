//! What each of many waiters costs: queueing it, waking and sending it when its turn has come, and letting go
//! of it. Then the same where each is a task, and what such a task costs that waits for a semaphore instead,
//! with the same request and facts.
//!
//! The first three rows are this crate's part: the futures lie in one array and are polled when they are woken,
//! and their requests are there before. What memory a request has of its own, that of its extensions, is kept
//! to the end, so that giving it back is not counted; the rest of it is not copied anywhere once it is sent, for
//! that would touch as many lines of cache again as all there is to waking one.
//!
//! The allocator is not the system's. After thousands of runs glibc's has the memory of neighbours in line lie
//! anywhere, and from 1 000 waiters on the caches miss whatever the next one needs: there is 1 to 2 KB of each,
//! most of it the task's and the request's. An allocator that keeps sizes together, or a fresh heap, has it
//! lie in the order it is used in.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a bench"
)]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Future, Ready, poll_fn, ready};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use http::{Extensions, Request, Response};
use http_body_util::Full;
use rate_limit_layer::{Limiter, Quota, RateLimitLayer};
use throttle_signal::RequestFacts;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, Semaphore};
use tokio::task::{JoinHandle, yield_now};
use tokio::time::sleep;
use tower::{Layer, Service, ServiceExt};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const COUNTS: [usize; 3] = [100, 1000, 10_000];

/// What is measured, and for how many milliseconds: short parts take long to measure for long.
const PHASES: [(&str, u64); 3] = [("queued", 300), ("woken and sent", 900), ("let go of", 30)];

const QUOTA: Quota = Quota::new()
    .requests_per_second(100)
    .requests_per_minute(6000);

type Body = Full<Bytes>;

fn waiters(c: &mut Criterion) {
    measure(c, "waiter", array);
    measure(c, "task", |count| tasks(count, paced));
    measure(c, "task at a semaphore", |count| tasks(count, permitted));
}

fn measure(c: &mut Criterion, what: &str, run: impl Fn(usize) -> [Duration; 3]) {
    for (phase, (name, millis)) in PHASES.into_iter().enumerate() {
        let mut group = c.benchmark_group(format!("{what}, {name}"));
        let time = Duration::from_millis(millis);
        group
            .sample_size(10)
            .measurement_time(time)
            .warm_up_time(time / 3);
        for count in COUNTS {
            group.throughput(Throughput::Elements(count as u64));
            group.bench_with_input(BenchmarkId::from_parameter(count), &count, |b, count| {
                b.iter_custom(|times| (0..times).map(|_| run(*count)[phase]).sum());
            });
        }
        group.finish();
    }
}

/// Under a paused clock: what is left of the time is what the waiters cost.
fn paused() -> Runtime {
    let mut runtime = Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap()
}

/// A limiter that has sent what may go at once: ten of a hundred would not wait, and the cost of the others would
/// be shared among all.
fn used_up() -> Limiter {
    let limiter = Limiter::new(QUOTA);
    let mut service = RateLimitLayer::new(limiter.clone()).layer(Echo::default());
    let mut cx = Context::from_waker(Waker::noop());
    while pin!(service.call(request())).poll(&mut cx).is_ready() {}
    limiter
}

fn request() -> Request<Body> {
    Request::new(Full::default())
}

/// So many in one array, each with a waker of its own.
fn array(count: usize) -> [Duration; 3] {
    let kept = Echo::keeping(count);
    let requests: Vec<_> = (0..count).map(|_| request()).collect();
    paused().block_on(async {
        let woken = Arc::new(Woken {
            main: poll_fn(|cx| Poll::Ready(cx.waker().clone())).await,
            indices: Mutex::new(VecDeque::with_capacity(count)),
        });
        let wakers: Vec<_> = (0..count).map(|index| woken.waker(index)).collect();
        let mut service = RateLimitLayer::new(used_up()).layer(kept.clone());
        let mut futures = Vec::new();
        futures.resize_with(count, || None);
        let mut sent = 0;

        let began = Instant::now();
        for (future, request) in futures.iter_mut().zip(requests) {
            *future = Some(service.call(request));
        }
        let mut poll = |index: usize| {
            let mut cx = Context::from_waker(&wakers[index]);
            let future = futures[index].as_mut().unwrap();
            sent += usize::from(Pin::new(future).poll(&mut cx).is_ready());
            sent
        };
        for index in 0..count {
            poll(index);
        }
        let queued = began.elapsed();

        let began = Instant::now();
        poll_fn(|_| {
            while let Some(index) = woken.next() {
                if poll(index) == count {
                    return Poll::Ready(());
                }
            }
            Poll::Pending
        })
        .await;
        let woken = began.elapsed();

        let began = Instant::now();
        drop((futures, kept));
        [queued, woken, began.elapsed()]
    })
}

/// So many tasks, each of which is begun by what `prepare` returns.
fn tasks(count: usize, prepare: impl Fn(&Arc<Noted>) -> Spawn) -> [Duration; 3] {
    paused().block_on(async {
        let noted = Arc::new(Noted::default());
        let spawn = prepare(&noted);

        let began = Instant::now();
        let tasks: Vec<_> = (0..count).map(|_| spawn()).collect();
        while noted.begun.load(Ordering::Relaxed) < count {
            yield_now().await;
        }
        let queued = began.elapsed();

        let began = Instant::now();
        while noted.sent.load(Ordering::Relaxed) < count {
            noted.one.notified().await;
        }
        let sent = began.elapsed();

        let began = Instant::now();
        for task in tasks {
            task.await.unwrap();
        }
        [queued, sent, began.elapsed()]
    })
}

type Spawn = Box<dyn Fn() -> JoinHandle<()>>;

fn paced(noted: &Arc<Noted>) -> Spawn {
    let client = RateLimitLayer::new(used_up()).layer(Echo::default());
    let noted = Arc::clone(noted);
    Box::new(move || {
        let (mut client, noted) = (client.clone(), Arc::clone(&noted));
        tokio::spawn(async move {
            noted.begins();
            let client = client.ready().await.unwrap();
            drop(client.call(request()).await);
            noted.is_sent();
        })
    })
}

/// With the same request and facts, and as many permits as the quota allows.
fn permitted(noted: &Arc<Noted>) -> Spawn {
    let (noted, permits) = (Arc::clone(noted), Arc::new(Semaphore::new(0)));
    let given = Arc::clone(&permits);
    tokio::spawn(async move {
        loop {
            sleep(Duration::from_millis(10)).await;
            given.add_permits(1);
        }
    });
    Box::new(move || {
        let (permits, noted) = (Arc::clone(&permits), Arc::clone(&noted));
        tokio::spawn(async move {
            noted.begins();
            let mut request = request();
            let facts = RequestFacts::ensure(&mut request, tokio::time::Instant::now());
            permits.acquire().await.unwrap().forget();
            drop((Echo::default().call(request).await, facts));
            noted.is_sent();
        })
    })
}

/// How far the tasks are.
#[derive(Default)]
struct Noted {
    begun: AtomicUsize,
    sent: AtomicUsize,
    one: Notify,
}

impl Noted {
    fn begins(&self) {
        self.begun.fetch_add(1, Ordering::Relaxed);
    }

    fn is_sent(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
        self.one.notify_one();
    }
}

/// Which of the array are woken.
struct Woken {
    main: Waker,
    indices: Mutex<VecDeque<usize>>,
}

struct One {
    woken: Arc<Woken>,
    index: usize,
}

impl Woken {
    fn waker(self: &Arc<Self>, index: usize) -> Waker {
        let woken = Arc::clone(self);
        Waker::from(Arc::new(One { woken, index }))
    }

    fn next(&self) -> Option<usize> {
        self.indices.lock().unwrap().pop_front()
    }
}

impl Wake for One {
    fn wake(self: Arc<Self>) {
        self.woken.indices.lock().unwrap().push_back(self.index);
        self.woken.main.wake_by_ref();
    }
}

/// Answers at once; keeps what the requests own if it is to.
#[derive(Clone, Default)]
struct Echo(Option<Arc<Mutex<Vec<Extensions>>>>);

impl Echo {
    fn keeping(count: usize) -> Self {
        let mut kept: Vec<_> = (0..count).map(|_| Extensions::new()).collect();
        kept.clear(); // its memory has been used before
        Self(Some(Arc::new(Mutex::new(kept))))
    }
}

impl Service<Request<Body>> for Echo {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if let Some(kept) = &self.0 {
            kept.lock().unwrap().push(request.into_parts().0.extensions);
        }
        ready(Ok(Response::new(Body::default())))
    }
}

criterion_group!(benches, waiters);
criterion_main!(benches);
