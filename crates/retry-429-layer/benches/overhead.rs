//! What the layer costs a request that nothing throttles, next to a clone of it and to the copy it keeps.

#![allow(missing_docs, reason = "what the macros of criterion make has none")]

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::{HeaderValue, Request, Response};
use http_body_util::Full;
use retry_429_layer::Retry429Layer;
use throttle_signal::KeptRequest;
use tower::{Layer, Service};

type Body = Full<Bytes>;

#[derive(Clone)]
struct Upstream;

impl Service<Request<Body>> for Upstream {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        black_box(request);
        ready(Ok(Response::default()))
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
    let answer = pin!(service.call(request));
    black_box(answer.poll(&mut cx).is_ready());
}

fn overhead(c: &mut Criterion) {
    let mut group = c.benchmark_group("untroubled");
    group.bench_function("no layer", |b| {
        let mut service = Upstream;
        b.iter_batched(
            request,
            |request| call(&mut service, request),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("a copy of the request", |b| {
        let mut service = Upstream;
        b.iter_batched(
            request,
            |request| {
                let kept = black_box(request.clone());
                call(&mut service, request);
                drop(kept);
            },
            BatchSize::SmallInput,
        );
    });
    group.bench_function("the copy that is kept", |b| {
        let mut service = Upstream;
        b.iter_batched(
            request,
            |request| {
                let kept = black_box(KeptRequest::of(&request));
                call(&mut service, request);
                drop(kept);
            },
            BatchSize::SmallInput,
        );
    });
    group.bench_function("the layer", |b| {
        let mut service = Retry429Layer::new().layer(Upstream);
        b.iter_batched(
            request,
            |request| call(&mut service, request),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, overhead);
criterion_main!(benches);
