//! Own parts in the stack: a layer between ours, a retry policy, a profile and an estimator.
//!
//! The upstream speaks no provider's language: asked too fast, it is a teapot, and it counts words.
//!
//! ```console
//! $ cargo run --release --example custom_stack
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use rate_limit_layer::{Estimate, Limiter, Quota, RateLimitLayer};
use retry_429_layer::{Attempt, Decision, Policy, Retry429Layer};
use throttle_signal::{Kind, Profile, Reader, RequestFacts, Rule, Scope, Trail};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

/// Own policy: three sends in all, and never a wait of more than a minute.
#[derive(Clone, Debug)]
struct ThreeSends;

impl<E> Policy<E> for ThreeSends {
    fn decide(&mut self, attempt: &Attempt<'_, E>) -> Decision {
        let Some(throttle) = attempt.throttle() else {
            return Decision::give_back("not a refusal");
        };
        if attempt.number() == 3 {
            return Decision::give_back("three sends are enough");
        }
        // A limiter that holds back for the refusal already makes waiting here a second wait.
        let wait = if throttle.paced() {
            Duration::ZERO
        } else {
            throttle.wait().known().unwrap_or_default()
        };
        if wait > Duration::from_secs(60) {
            return Decision::give_back("too long");
        }
        Decision::retry(wait, "as this upstream asks")
    }
}

/// Own estimator: this upstream counts words.
#[derive(Debug)]
struct Words;

impl Estimate for Words {
    fn input_tokens(&self, _: &RequestFacts, body: &[u8]) -> u64 {
        body.split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty())
            .count() as u64
    }
}

/// Own profile: what this upstream's refusals mean.
fn profile() -> Profile {
    let rule = Rule::new("teapot")
        .status(&[418])
        .means(Kind::RequestRate, Scope::Account);
    Profile::new("tea").host("tea.example").rule(rule)
}

/// Own layer, between ours: numbers each send, so below retry and above the limiter.
#[derive(Clone, Debug, Default)]
struct NumberSends {
    sends: Arc<AtomicU32>, // in the layer, so that all services it makes share it
}

#[derive(Clone, Debug)]
struct Numbered<S> {
    inner: S,
    sends: Arc<AtomicU32>,
}

impl<S> Layer<S> for NumberSends {
    type Service = Numbered<S>;

    fn layer(&self, inner: S) -> Numbered<S> {
        Numbered {
            inner,
            sends: Arc::clone(&self.sends),
        }
    }
}

impl<S, B> Service<Request<B>> for Numbered<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        let number = self.sends.fetch_add(1, Ordering::Relaxed) + 1;
        request
            .headers_mut()
            .insert(HeaderName::from_static("x-send"), HeaderValue::from(number));
        self.inner.call(request)
    }
}

// The clock is paused: the waits of half a minute take no time.
#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let start = tokio::time::Instant::now();
    let upstream = service_fn(move |request: Request<Full<Bytes>>| {
        let send = request.headers()["x-send"]
            .to_str()
            .map_or(0, |send| send.parse().unwrap_or(0));
        let mut response = Response::new(Full::from("tea"));
        if send < 3 {
            *response.status_mut() = StatusCode::IM_A_TEAPOT;
            response.headers_mut().insert(RETRY_AFTER, 30.into());
        }
        println!(
            "{:>5.1} s  send {send}: {}",
            start.elapsed().as_secs_f64(),
            response.status()
        );
        async { Ok::<_, Infallible>(response) }
    });

    let reader = Reader::new().also(profile());
    let limiter = Limiter::builder()
        .default_quota(
            Quota::new()
                .requests_per_minute(60)
                .tokens_per_minute(1_000),
        )
        .estimate(Words)
        .build();
    let stack = ServiceBuilder::new()
        .layer(Retry429Layer::with_policy(ThreeSends))
        .layer(NumberSends::default())
        .layer(RateLimitLayer::new(limiter.clone()).reader(reader))
        .service(upstream);

    let request =
        Request::post("http://tea.example/cups").body(Full::from("a cup of green tea, please"))?;
    let mut response = stack.oneshot(request).await?;
    let trail = Trail::of(response.extensions_mut());
    println!(
        "answered after {} sends, held back {:?}",
        trail.attempts, trail.waited
    );
    for step in &trail.steps {
        println!("  {}: {}", step.layer, step.reason);
    }
    for partition in limiter.snapshot() {
        for limit in partition.limits {
            let (used, unit) = (limit.used, limit.limit.unit().as_str());
            println!("  {used} of {} {unit} used", limit.limit.most());
        }
    }
    Ok(())
}
