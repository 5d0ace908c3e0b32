//! What tower has too does the same here.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{Response, StatusCode};
use http_body_util::Full;
use rate_limit_layer::{Limiter, Quota, RateLimitLayer};
use retry_429_layer::{Backoff, Retry429Layer};
use test_support::{Answer, Upstream, UpstreamError, ok, throttled_for, with_status};
use tokio::time::{Duration, Instant, sleep};
use tower::limit::RateLimit;
use tower::retry::{Policy, Retry};
use tower::{Layer, Service, ServiceExt};

use crate::laws::{Chat, SECOND, chat};

/// Waits as told, three times, as one writes it for tower.
#[derive(Clone)]
struct AsTold(u32);

impl Policy<Chat, Response<Full<Bytes>>, UpstreamError> for AsTold {
    type Future = Pin<Box<dyn Future<Output = ()> + Send>>;

    fn retry(
        &mut self,
        _: &mut Chat,
        answer: &mut Result<Response<Full<Bytes>>, UpstreamError>,
    ) -> Option<Self::Future> {
        let response = answer.as_ref().ok()?;
        if response.status() != StatusCode::TOO_MANY_REQUESTS {
            return None;
        }
        let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
        let seconds: u64 = seconds.parse().ok()?;
        self.0 = self.0.checked_sub(1)?;
        Some(Box::pin(sleep(Duration::from_secs(seconds))))
    }

    fn clone_request(&mut self, request: &Chat) -> Option<Chat> {
        Some(request.clone())
    }
}

const ANSWERS: u32 = 4;

/// The script of this number: five answers, of these kinds.
fn script(mut number: u32) -> Vec<Answer> {
    let mut answers = Vec::new();
    for _ in 0..5 {
        answers.push(match number % ANSWERS {
            0 => throttled_for(1).into(),
            1 => throttled_for(2).into(),
            2 => Answer::error("connection reset"),
            _ => with_status(StatusCode::INTERNAL_SERVER_ERROR).into(),
        });
        number /= ANSWERS;
    }
    answers
}

/// What a caller and the upstream see: the end of it, when each send came, and when it was over.
async fn played<S, R>(service: S, upstream: &Upstream) -> (String, Vec<u128>, u128)
where
    S: Service<Chat, Response = Response<R>, Error = UpstreamError>,
{
    let start = Instant::now();
    let answer = service.oneshot(chat()).await;
    let end = format!("{:?}", answer.map(|response| response.status()));
    (end, upstream.arrivals(), start.elapsed().as_millis())
}

#[tokio::test(start_paused = true)]
async fn retry_sends_as_often_and_when_towers_does_by_the_same_policy() {
    for number in 0..ANSWERS.pow(5) {
        let upstream = Upstream::new(script(number));
        let theirs = played(Retry::new(AsTold(3), upstream.clone()), &upstream).await;

        let upstream = Upstream::new(script(number));
        // Ours adds more and more to what was said while it keeps being said: not here.
        let policy = Backoff::new()
            .max_retries(3)
            .without_jitter()
            .initial_delay(Duration::ZERO);
        let layer = Retry429Layer::with_policy(policy).without_budget();
        let ours = played(layer.layer(upstream.clone()), &upstream).await;
        assert_eq!(ours, theirs, "script {number}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_limited_as_by_towers_rate_limit() {
    let theirs = Upstream::answering(|_| ok());
    let rate = tower::limit::rate::Rate::new(10, SECOND);
    burst(RateLimit::new(theirs.clone(), rate)).await;

    let ours = Upstream::answering(|_| ok());
    let quota = Quota::new().requests_per_second(10).allow_bursts();
    let limiter = Limiter::builder()
        .default_quota(quota)
        .guard(Duration::ZERO);
    burst(RateLimitLayer::new(limiter.build()).layer(ours.clone())).await;
    let (ours, theirs) = (ours.arrivals(), theirs.arrivals());
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert!(
            ours.abs_diff(*theirs) <= 2,
            "{ours} ms, tower's {theirs} ms"
        );
    }
}

/// Sends thirty-five chats, each as soon as the one before is answered.
async fn burst<S>(mut service: S)
where
    S: Service<Chat, Error = UpstreamError, Response: Debug>,
{
    for _ in 0..35 {
        service.ready().await.unwrap().call(chat()).await.unwrap();
    }
}
