//! What the layer costs a request that nothing limits.

#![allow(clippy::unwrap_used, missing_docs, reason = "a bench")]

use std::convert::Infallible;
use std::future::Ready;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use futures_util::FutureExt;
use http::{HeaderName, HeaderValue, Request, Response};
use http_body_util::Full;
use rate_limit_layer::{Limiter, Quota, RateLimitLayer};
use throttle_signal::RequestFacts;
use tokio::time::Instant;
use tower::{Layer, Service};
use tower_resilience_ratelimiter::RateLimiterLayer;

type Body = Full<Bytes>;

const OPEN: Quota = Quota::new()
    .requests_per_second(1 << 40)
    .requests_per_minute(1 << 44)
    .tokens_per_second(1 << 44)
    .tokens_per_minute(1 << 48);

#[derive(Clone)]
struct Echo;

impl Service<Request<Body>> for Echo {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        std::future::ready(Ok(Response::new(Body::default())))
    }
}

fn request() -> Request<Body> {
    let mut request = Request::new(Full::from(
        r#"{"model":"qwen3-max","messages":[{"role":"user","content":"Why is the sky blue?"}]}"#,
    ));
    for n in 0..12 {
        let name = HeaderName::try_from(format!("x-header-{n}")).unwrap();
        request
            .headers_mut()
            .insert(name, HeaderValue::from_static("some value of usual length"));
    }
    request
}

fn measure<S>(c: &mut Criterion, name: &str, mut service: S, request: &Request<Body>)
where
    S: Service<Request<Body>>,
    S::Error: std::fmt::Debug,
{
    let waker = std::task::Waker::noop();
    let mut cx = Context::from_waker(waker);
    c.bench_function(name, |b| {
        b.iter_batched(
            || request.clone(),
            |request| {
                assert!(service.poll_ready(&mut cx).is_ready());
                service.call(request).now_or_never().unwrap().unwrap()
            },
            BatchSize::SmallInput,
        );
    });
}

fn service(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let _entered = runtime.enter();
    let mut plain = request();
    c.bench_function("request clone, 12 headers", |b| b.iter(|| plain.clone()));
    measure(c, "no layer", Echo, &plain);
    measure(
        c,
        "no-op layer",
        tower::util::MapRequest::new(Echo, |request: Request<Body>| request),
        &plain,
    );

    let limiter = Limiter::new(OPEN);
    let layer = RateLimitLayer::new(limiter.clone());
    measure(
        c,
        "rate-limit-layer, outermost of ours",
        layer.layer(Echo),
        &plain,
    );
    RequestFacts::ensure(&mut plain, Instant::now());
    measure(c, "no layer, with facts", Echo, &plain);
    measure(
        c,
        "rate-limit-layer, below others of ours",
        layer.layer(Echo),
        &plain,
    );

    let rate = tower::limit::RateLimit::new(
        Echo,
        tower::limit::rate::Rate::new(u64::MAX, Duration::from_secs(3600)),
    );
    measure(c, "tower RateLimit", rate, &plain);
    let resilience = RateLimiterLayer::builder()
        .limit_for_period(1 << 40)
        .refresh_period(Duration::from_secs(3600));
    measure(
        c,
        "tower-resilience",
        resilience.build().unwrap().layer(Echo),
        &plain,
    );
}

criterion_group!(benches, service);
criterion_main!(benches);
