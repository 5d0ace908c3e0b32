//! What the layer costs a request that nothing throttles, next to the copy it keeps.
//!
//! `cargo bench -p retry-429-layer`. The copy is what it takes to send the request again: head, body handle and
//! what travels with them. All rows are run in turn, many times, so that a machine that slows down slows all of
//! them; a figure is the best of the rounds, and the median beside it. `-- --only 'the layer'` runs the rows of
//! this name for long, for a profiler.

#![allow(clippy::print_stdout, reason = "a bench prints")]

use std::convert::Infallible;
use std::future::Future;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body_util::Full;
use retry_429_layer::Retry429Layer;
use throttle_signal::KeptRequest;
use tokio::time::Instant;
use tower::{Layer, Service};

type Body = Full<Bytes>;

/// Answers at once, or at the second poll, as whatever is behind a socket does at best.
#[derive(Clone)]
struct Upstream {
    pending: bool,
}

struct Answer {
    pending: bool,
}

impl Future for Answer {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        if self.pending {
            self.pending = false;
            return Poll::Pending;
        }
        Poll::Ready(Ok(Response::default()))
    }
}

impl Service<Request<Body>> for Upstream {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        black_box(request);
        Answer {
            pending: self.pending,
        }
    }
}

/// A chat completion as clients send it: twelve headers and a body of 1 KiB.
fn request() -> Request<Body> {
    let body = format!(
        r#"{{"model":"qwen3-max","messages":[{{"role":"user","content":"{}"}}]}}"#,
        "x".repeat(960)
    );
    let mut request = Request::new(Full::from(body));
    *request.uri_mut() = http::Uri::from_static(
        "https://dashscope.aliyuncs.com/compatible-mode/v1/chat/completions",
    );
    for number in 0..12_u8 {
        let name = http::HeaderName::try_from(format!("x-header-{number}"));
        if let Ok(name) = name {
            request
                .headers_mut()
                .insert(name, HeaderValue::from_static("some value of a header"));
        }
    }
    request
}

fn call<S: Service<Request<Body>>>(service: &mut S, request: Request<Body>) {
    let mut cx = Context::from_waker(Waker::noop());
    let _ = service.poll_ready(&mut cx);
    let mut answer = pin!(service.call(request));
    while black_box(answer.as_mut().poll(&mut cx)).is_pending() {}
}

struct Row {
    name: &'static str,
    run: Box<dyn FnMut(Request<Body>)>,
    times: Vec<Duration>,
}

const ROUNDS: usize = 1000;
const BATCH: u32 = 100;

impl Row {
    fn new(name: &'static str, run: impl FnMut(Request<Body>) + 'static) -> Self {
        Self {
            name,
            run: Box::new(run),
            times: Vec::new(),
        }
    }

    fn round(&mut self) {
        let requests: Vec<_> = (0..BATCH).map(|_| request()).collect();
        let start = Instant::now();
        for request in requests {
            (self.run)(request);
        }
        self.times.push(start.elapsed());
    }

    /// Nanoseconds for one request: the best of all rounds, and the median.
    fn figures(&mut self) -> [f64; 2] {
        self.times.sort();
        [0, self.times.len() / 2].map(|at| {
            let time = self.times.get(at).copied().unwrap_or_default();
            time.as_secs_f64() * 1e9 / f64::from(BATCH)
        })
    }
}

fn rows(pending: bool) -> [Row; 4] {
    let upstream = Upstream { pending };
    let (mut none, mut copied, mut kept) = (upstream.clone(), upstream.clone(), upstream.clone());
    let mut layer = Retry429Layer::new().layer(upstream);
    [
        Row::new("no layer", move |request| call(&mut none, request)),
        Row::new("a clone of the request", move |request| {
            let clone = black_box(request.clone());
            call(&mut copied, request);
            drop(clone);
        }),
        Row::new("the copy that is kept", move |request| {
            let copy = black_box(KeptRequest::of(&request));
            call(&mut kept, request);
            drop(copy);
        }),
        Row::new("the layer", move |request| call(&mut layer, request)),
    ]
}

fn main() {
    let mut args = std::env::args().skip(1);
    // `cargo test --all-targets` runs benches, too, and passes `--test`.
    let (only, rounds) = match args.next().as_deref() {
        Some("--test") => return,
        Some("--only") => (args.next(), 50),
        _ => (None, ROUNDS),
    };
    for (pending, title) in [
        (false, "answered at once"),
        (true, "answered at the second poll"),
    ] {
        let mut rows = rows(pending);
        for _ in 0..rounds {
            for row in &mut rows {
                if only.as_deref().is_none_or(|only| row.name.contains(only)) {
                    row.round();
                }
            }
        }
        if only.is_some() {
            return;
        }
        let figures = rows.each_mut().map(Row::figures);
        println!(
            "{title}: ns a request above no layer, best and median; times the copy that is kept"
        );
        for (row, [best, median]) in rows.iter().zip(figures).skip(1) {
            let [none, _, kept, _] = figures;
            let (best, median) = (best - none[0], median - none[1]);
            println!(
                "  {:<24} {best:>6.0} {median:>6.0} {:>6.2} {:>6.2}",
                row.name,
                best / (kept[0] - none[0]),
                median / (kept[1] - none[1]),
            );
        }
        println!("  (no layer {:.0} {:.0})", figures[0][0], figures[0][1]);
    }
}
