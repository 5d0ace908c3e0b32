//! What the stack costs a request that nothing limits, beside what cannot be saved.
//!
//! `cargo bench -p tests --bench overhead`. One thread, no sockets but in the last row; the figures are
//! the best of many rounds, a request. `-- --only 'retry-429'` runs the rows of this name for long, for a
//! profiler.
//!
//! Where the 16 allocations of the whole stack come from (17 where the pool has a choice): the facts of the
//! request and the table of its extensions (4), the model it names (1), and a copy of the facts for each
//! layer that adds to them (2); the packed headers of each layer that may send it again (2, or 3 with a
//! choice); the header with the key (1); the table of the response's extensions with the trail and the
//! verdict (4); and that of the two headers of the answer that say who gave it (2).

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints, and fails by panicking"
)]

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use allocation_counter::measure;
use bytes::Bytes;
use fallback_layer::{Candidate, FallbackLayer};
use http::{Request, Response};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use key_rotation_layer::{KeyPool, KeyRotationLayer};
use rate_limit_layer::{Limiter, Quota, RateLimitLayer};
use retry_429_layer::Retry429Layer;
use throttle_signal::RequestFacts;
use tokio::time::Instant;
use tower::{Layer, Service, ServiceBuilder, service_fn};

type Body = Full<Bytes>;

const MODEL: &str = "qwen3-max";

/// Twelve headers and two kilobytes of JSON, as clients send them.
fn request(uri: &str) -> Request<Body> {
    let text = "All work and no play makes Jack a dull boy. ".repeat(42);
    let body = serde_json::json!({
        "model": MODEL,
        "messages": [{"role": "system", "content": "You are helpful."}, {"role": "user", "content": text}],
        "max_tokens": 256,
    });
    let body = Bytes::from(body.to_string());
    let mut request = Request::post(uri)
        .header("content-type", "application/json")
        .header("accept", "application/json")
        .header("accept-encoding", "gzip, br")
        .header("user-agent", "bench/1.0")
        .header("authorization", "Bearer sk-placeholder-of-some-length")
        .header("content-length", body.len());
    for name in [
        "x-request-id",
        "x-stainless-lang",
        "x-stainless-os",
        "x-stainless-arch",
        "traceparent",
        "x-tenant",
    ] {
        request = request.header(name, "0123456789abcdef");
    }
    request.body(Full::new(body)).unwrap()
}

/// Answers at once.
#[derive(Clone, Debug)]
struct Upstream;

impl Service<Request<Body>> for Upstream {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        black_box(&request);
        ready(Ok(Response::new(Body::default())))
    }
}

/// A layer that does nothing.
#[derive(Clone)]
struct Noop;

#[derive(Clone)]
struct NoopService<S>(S);

impl<S> Layer<S> for Noop {
    type Service = NoopService<S>;

    fn layer(&self, inner: S) -> NoopService<S> {
        NoopService(inner)
    }
}

impl<S: Service<Request<Body>>> Service<Request<Body>> for NoopService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> S::Future {
        self.0.call(request)
    }
}

/// One call of a service that is ready at once and answers at once.
fn call<S>(service: &mut S, request: Request<Body>)
where
    S: Service<Request<Body>>,
{
    let mut cx = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut cx).is_ready());
    let future = pin!(service.call(request));
    let Poll::Ready(answer) = future.poll(&mut cx) else {
        panic!("answered at once")
    };
    drop(black_box(answer));
}

/// What is measured: all rows in turn, so that a machine that slows down slows all of them.
#[derive(Default)]
struct Rows {
    rows: Vec<Row>,
}

struct Row {
    name: String,
    run: Box<dyn FnMut() -> Duration>,
    best: Duration,
    allocations: u64,
}

const ROUNDS: usize = 200;
const BATCH: u32 = 200;

impl Rows {
    /// Adds a row for one run of `job`, the making of its input aside.
    fn add<T>(
        &mut self,
        name: &str,
        make: impl Fn() -> T + 'static,
        mut job: impl FnMut(T) + 'static,
    ) {
        let input = make();
        for _ in 0..20 {
            job(make());
        }
        let allocations = measure(|| job(input)).count_total;
        let run = move || {
            let inputs: Vec<_> = (0..BATCH).map(|_| make()).collect();
            let start = Instant::now();
            for input in inputs {
                job(input);
            }
            start.elapsed() / BATCH
        };
        self.rows.push(Row {
            name: name.to_owned(),
            run: Box::new(run),
            best: Duration::MAX,
            allocations,
        });
    }

    /// Runs only those of this name, twenty batches.
    fn repeat(&mut self, name: &str) {
        for row in self.rows.iter_mut().filter(|row| row.name.contains(name)) {
            for _ in 0..20 {
                (row.run)();
            }
        }
    }

    /// Runs and prints them; the first two together are the unit.
    fn run(&mut self) {
        for _ in 0..ROUNDS {
            for row in &mut self.rows {
                row.best = row.best.min((row.run)());
            }
        }
        let unit = self.rows[0].best + self.rows[1].best;
        for row in &self.rows {
            let times = row.best.as_secs_f64() / unit.as_secs_f64();
            println!(
                "{:<36} {:>6} ns {:>5.2} x (clone + scan) {:>4} allocations",
                row.name,
                row.best.as_nanos(),
                times,
                row.allocations
            );
        }
    }
}

fn pool(accounts: usize) -> KeyPool {
    let mut pool = KeyPool::builder();
    for account in 0..accounts {
        pool = pool.account(
            &*format!("a{account}"),
            [format!("sk-0123456789abcdef-{account}")],
        );
    }
    pool.build().unwrap()
}

/// A quota that is never reached.
fn limiter() -> Limiter {
    let quota = Quota::new()
        .requests_per_second(1 << 24)
        .requests_per_minute(1 << 30)
        .tokens_per_minute(1 << 40);
    Limiter::builder().default_quota(quota).build()
}

fn main() {
    // `cargo test --all-targets` runs benches, too, and passes `--test`.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let _entered = runtime.enter();
    let sample = request("https://dashscope.aliyuncs.com/compatible-mode/v1/chat/completions");
    let one = sample.clone();
    let make = move || one.clone();
    let mut rows = Rows::default();

    // What cannot be saved.
    rows.add(
        "Request::clone",
        || (),
        move |()| drop(black_box(sample.clone())),
    );
    rows.add("one scan of the body", make.clone(), |mut request| {
        let facts = RequestFacts::ensure(&mut request, Instant::now());
        black_box(facts.model()); // read when it is asked for
        drop(black_box(request));
    });
    rows.add("four layers that do nothing", make.clone(), {
        let mut service = ServiceBuilder::new()
            .layer(Noop)
            .layer(Noop)
            .layer(Noop)
            .layer(Noop)
            .service(Upstream);
        move |request| call(&mut service, request)
    });

    // Each layer alone, the scan included where it needs one.
    rows.add("fallback, two models", make.clone(), {
        let mut service =
            FallbackLayer::new([Candidate::model(MODEL), Candidate::model("qwen-plus")])
                .layer(Upstream);
        move |request| call(&mut service, request)
    });
    rows.add("retry-429", make.clone(), {
        let mut service = Retry429Layer::new().layer(Upstream);
        move |request| call(&mut service, request)
    });
    rows.add("key-rotation, one key", make.clone(), {
        let mut service = KeyRotationLayer::new(pool(1)).layer(Upstream);
        move |request| call(&mut service, request)
    });
    rows.add("key-rotation, two accounts", make.clone(), {
        let mut service = KeyRotationLayer::new(pool(2)).layer(Upstream);
        move |request| call(&mut service, request)
    });
    rows.add("rate-limit", make.clone(), {
        let mut service = RateLimitLayer::new(limiter()).layer(Upstream);
        move |request| call(&mut service, request)
    });

    for accounts in [1, 2, 10] {
        let limiter = limiter();
        let mut service = ServiceBuilder::new()
            .layer(FallbackLayer::new([
                Candidate::model(MODEL),
                Candidate::model("qwen-plus"),
            ]))
            .layer(Retry429Layer::new())
            .layer(KeyRotationLayer::new(pool(accounts)).headroom(limiter.clone()))
            .layer(RateLimitLayer::new(limiter))
            .service(Upstream);
        let name = format!("the whole stack, {accounts} accounts");
        rows.add(&name, make.clone(), move |request| {
            call(&mut service, request);
        });
    }
    let only = std::env::args().skip_while(|arg| arg != "--only").nth(1);
    if let Some(only) = only {
        rows.repeat(&only);
        return;
    }
    rows.run();

    println!("for scale:");
    let hyper = runtime.block_on(loopback());
    println!(
        "{:<52} {hyper:>8.0} ns",
        "  a call through hyper over loopback"
    );
}

/// The mean time of a call to a server on loopback that answers at once.
async fn loopback() -> f64 {
    const CALLS: u32 = 2000;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!(
        "http://{}/v1/chat/completions",
        listener.local_addr().unwrap()
    );
    let server = tokio::spawn(async move {
        let app = axum::Router::new().fallback(|| async { "done" });
        axum::serve(listener, app).await.unwrap();
    });
    let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build_http();
    let mut client = service_fn(move |request| client.request(request));
    let sample = request(&uri);
    client.call(sample.clone()).await.unwrap();
    let start = Instant::now();
    for _ in 0..CALLS {
        let response = client.call(sample.clone()).await.unwrap();
        http_body_util::BodyExt::collect(response.into_body())
            .await
            .unwrap();
    }
    let nanos = start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS);
    server.abort();
    nanos
}
