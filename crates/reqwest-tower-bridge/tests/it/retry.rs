//! Whoever sends again, above, below or as a layer, can.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use http::{Request, Response};
use replay_body::Replay;
use reqwest::{Client, StatusCode};
use reqwest_middleware::ClientBuilder;
use reqwest_retry::policies::ExponentialBackoff;
use reqwest_retry::{
    DefaultRetryableStrategy, RetryTransientMiddleware, Retryable, RetryableStrategy,
};
use reqwest_tower_bridge::{LayerMiddleware, RequestBody};
use retry_429_layer::Retry429Layer;
use tower::layer::util::Identity;
use tower::retry::{Policy, RetryLayer};

use crate::server::serve;

type Sends = Arc<AtomicU32>;

/// A server that fails twice and then gives back what it was sent.
async fn fails_twice() -> (String, Sends) {
    let sends = Sends::default();
    let router = Router::new()
        .route(
            "/",
            post(async |State(sends): State<Sends>, body: String| {
                if sends.fetch_add(1, Ordering::Relaxed) < 2 {
                    return (StatusCode::SERVICE_UNAVAILABLE, String::new());
                }
                (StatusCode::OK, body)
            }),
        )
        .with_state(Arc::clone(&sends));
    (format!("http://{}/", serve(router).await), sends)
}

fn retry_transient() -> RetryTransientMiddleware<ExponentialBackoff> {
    let policy =
        ExponentialBackoff::builder().retry_bounds(Duration::ZERO, Duration::from_millis(1));
    RetryTransientMiddleware::new_with_policy(policy.build_with_max_retries(3))
}

async fn answered_after_three_sends(client: ClientBuilder, (url, sends): (String, Sends)) {
    let response = client.build().post(url).body("hello").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.text().await.unwrap(), "hello");
    assert_eq!(sends.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn reqwest_retry_above_sends_again() {
    let client = ClientBuilder::new(Client::new())
        .with(retry_transient())
        .with(LayerMiddleware::new(Identity::new()));
    answered_after_three_sends(client, fails_twice().await).await;
}

#[tokio::test]
async fn reqwest_retry_below_sends_again() {
    let client = ClientBuilder::new(Client::new())
        .with(LayerMiddleware::new(Identity::new()))
        .with(retry_transient());
    answered_after_three_sends(client, fails_twice().await).await;
}

#[derive(Clone)]
struct UpTo(u32);

impl<B, E> Policy<Request<RequestBody>, Response<B>, E> for UpTo {
    type Future = std::future::Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request<RequestBody>,
        answer: &mut Result<Response<B>, E>,
    ) -> Option<Self::Future> {
        let failed = answer
            .as_ref()
            .is_ok_and(|response| response.status().is_server_error());
        self.0 = self.0.checked_sub(1).filter(|_| failed)?;
        Some(std::future::ready(()))
    }

    fn clone_request(&mut self, request: &Request<RequestBody>) -> Option<Request<RequestBody>> {
        let body = request.body().replay()?;
        let mut clone = Request::new(body);
        clone.headers_mut().clone_from(request.headers());
        request.method().clone_into(clone.method_mut());
        request.uri().clone_into(clone.uri_mut());
        Some(clone)
    }
}

#[tokio::test]
async fn towers_retry_as_the_layer_sends_again() {
    let client =
        ClientBuilder::new(Client::new()).with(LayerMiddleware::new(RetryLayer::new(UpTo(3))));
    answered_after_three_sends(client, fails_twice().await).await;
}

/// A server that refuses, then fails, and then gives back what it was sent.
async fn refuses_then_fails() -> (String, Sends) {
    let sends = Sends::default();
    let router = Router::new()
        .route(
            "/",
            post(async |State(sends): State<Sends>, body: String| {
                let status = match sends.fetch_add(1, Ordering::Relaxed) {
                    0 => StatusCode::TOO_MANY_REQUESTS,
                    1 => StatusCode::SERVICE_UNAVAILABLE,
                    _ => StatusCode::OK,
                };
                (status, [("retry-after-ms", "1")], body)
            }),
        )
        .with_state(Arc::clone(&sends));
    (format!("http://{}/", serve(router).await), sends)
}

/// Leaves refusals to whoever is above.
struct OnlyFailures;

impl RetryableStrategy for OnlyFailures {
    fn handle(&self, answer: &reqwest_middleware::Result<reqwest::Response>) -> Option<Retryable> {
        let refused =
            |response: &reqwest::Response| response.status() == StatusCode::TOO_MANY_REQUESTS;
        match answer {
            Ok(response) if refused(response) => None,
            answer => DefaultRetryableStrategy.handle(answer),
        }
    }
}

#[tokio::test]
async fn reqwest_retry_below_keeps_to_failures_when_told_so() {
    let policy =
        ExponentialBackoff::builder().retry_bounds(Duration::ZERO, Duration::from_millis(1));
    let failures = RetryTransientMiddleware::new_with_policy_and_strategy(
        policy.build_with_max_retries(3),
        OnlyFailures,
    );
    let client = ClientBuilder::new(Client::new())
        .with(LayerMiddleware::new(Retry429Layer::new()))
        .with(failures);
    answered_after_three_sends(client, refuses_then_fails().await).await;
}

#[tokio::test]
async fn a_stream_that_is_refused_comes_back_refused() {
    let (url, sends) = refuses_then_fails().await;
    let client = ClientBuilder::new(Client::new())
        .with(LayerMiddleware::new(Retry429Layer::new()))
        .build();
    let parts = ["hel", "lo"].map(Ok::<_, std::convert::Infallible>);
    let stream = reqwest::Body::wrap_stream(futures_util::stream::iter(parts));
    let response = client.post(url).body(stream).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.text().await.unwrap(), "hello");
    assert_eq!(sends.load(Ordering::Relaxed), 1);
}
