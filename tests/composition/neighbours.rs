//! tower's and tower-http's layers on both sides of ours.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::axum::Router;
use ::axum::body::Body;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tower::limit::ConcurrencyLimitLayer;
use tower::{ServiceBuilder, ServiceExt};
use tower_http::classify::{SharedClassifier, StatusInRangeAsFailures};
use tower_http::map_response_body::MapResponseBodyLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::sensitive_headers::SetSensitiveHeadersLayer;
use tower_http::set_header::SetRequestHeaderLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;
use tracing::Span;

use crate::axum::serve;
use crate::hyper::{answers, client};
use crate::layers::{falling_back, limiter, pacing, retrying, rotating, stack};
use crate::studio::{body, chat, studio};

const MINUTE: Duration = Duration::from_secs(60);

/// With tower-http's layers outside of `$ours`.
macro_rules! outside {
    ($ours:expr) => {
        ServiceBuilder::new()
            .layer(TraceLayer::new(SharedClassifier::new(
                StatusInRangeAsFailures::new(400..=599),
            )))
            .layer(SetSensitiveHeadersLayer::new([http::header::AUTHORIZATION]))
            .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
            .layer(PropagateRequestIdLayer::x_request_id())
            .layer(TimeoutLayer::with_status_code(
                StatusCode::GATEWAY_TIMEOUT,
                MINUTE,
            ))
            .layer($ours)
            .service(client())
    };
}

/// With tower-http's layers inside of `$ours`, and one permit that a request must not hold while it
/// waits.
macro_rules! inside {
    ($ours:expr) => {
        ServiceBuilder::new()
            .layer($ours)
            .layer(TraceLayer::new_for_http())
            .layer(SetRequestHeaderLayer::overriding(
                HeaderName::from_static("x-layer"),
                HeaderValue::from_static("inside"),
            ))
            .layer(TimeoutLayer::with_status_code(
                StatusCode::GATEWAY_TIMEOUT,
                MINUTE,
            ))
            // tower-http's timeout asks for a body that can be empty, which hyper's cannot.
            .layer(MapResponseBodyLayer::new(Body::new))
            .layer(ConcurrencyLimitLayer::new(1))
            .service(client())
    };
}

#[tokio::test]
async fn each_layer_alone_inside_of_theirs() {
    let studio = studio(0.0).await;
    let chats = || vec![chat(&studio), chat(&studio)];
    answers(outside!(pacing(&limiter())), chats()).await;
    answers(outside!(rotating(None)), chats()).await;
    answers(outside!(retrying()), chats()).await;
    answers(outside!(falling_back()), chats()).await;
}

#[tokio::test]
async fn each_layer_alone_outside_of_theirs() {
    let studio = studio(0.0).await;
    let chats = || vec![chat(&studio), chat(&studio)];
    answers(inside!(pacing(&limiter())), chats()).await;
    answers(inside!(rotating(None)), chats()).await;
    answers(inside!(retrying()), chats()).await;
    answers(inside!(falling_back()), chats()).await;
}

#[tokio::test]
async fn stacked_between_theirs() {
    let studio = studio(0.2).await;
    let chats = || (0..10).map(|_| chat(&studio)).collect();
    answers(outside!(stack()), chats()).await;
    answers(inside!(stack()), chats()).await;
}

#[tokio::test]
async fn a_timeout_outside_ends_the_whole() {
    let slow = model_studio_sim::Simulator::builder()
        .latency(MINUTE)
        .start()
        .await
        .unwrap();
    let service = ServiceBuilder::new()
        .layer(TimeoutLayer::with_status_code(
            StatusCode::GATEWAY_TIMEOUT,
            Duration::from_millis(50),
        ))
        .service(stack().service(client()));
    let answer = service.oneshot(chat(&slow)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::GATEWAY_TIMEOUT);
}

/// A server that refuses its first request for a moment.
async fn refusing_once() -> String {
    let refused = AtomicBool::new(false);
    let handler = move || {
        let refuse = !refused.swap(true, Ordering::Relaxed);
        let response = if refuse {
            Response::builder()
                .status(429)
                .header("retry-after-ms", "1")
        } else {
            Response::builder()
        };
        let response = response.body(Body::from("done")).unwrap();
        async { response }
    };
    let handler = Arc::new(handler);
    serve(Router::new().fallback(move || handler())).await
}

/// What a trace has seen: responses, their statuses, and bodies that came to their end.
#[derive(Clone, Default)]
struct Traced {
    statuses: Arc<Mutex<Vec<u16>>>,
    bytes: Arc<AtomicUsize>,
}

/// A `TraceLayer` that notes what it sees.
macro_rules! trace {
    ($traced:expr) => {{
        let (traced, bytes) = ($traced.clone(), Arc::clone(&$traced.bytes));
        TraceLayer::new_for_http()
            .on_response(move |response: &Response<_>, _: Duration, _: &Span| {
                traced
                    .statuses
                    .lock()
                    .unwrap()
                    .push(response.status().as_u16());
            })
            .on_body_chunk(move |chunk: &Bytes, _: Duration, _: &Span| {
                bytes.fetch_add(chunk.len(), Ordering::Relaxed);
            })
    }};
}

#[tokio::test]
async fn a_trace_outside_sees_a_request_and_one_inside_each_attempt() {
    macro_rules! traced {
        ($ours:expr) => {{
            let (outside, inside) = (Traced::default(), Traced::default());
            let service = ServiceBuilder::new()
                .layer(trace!(outside))
                .layer($ours)
                .layer(trace!(inside))
                .service(client());
            let request = Request::post(refusing_once().await)
                .body(Full::from("{}"))
                .unwrap();
            let answer = service.oneshot(request).await.unwrap();
            answer.into_body().collect().await.map(drop).unwrap();
            let statuses = |traced: Traced| traced.statuses.lock().unwrap().clone();
            assert_eq!(outside.bytes.load(Ordering::Relaxed), "done".len());
            (statuses(outside), statuses(inside))
        }};
    }
    assert_eq!(traced!(pacing(&limiter())), (vec![429], vec![429]));
    assert_eq!(traced!(rotating(None)), (vec![200], vec![429, 200]));
    assert_eq!(traced!(retrying()), (vec![200], vec![429, 200]));
    assert_eq!(traced!(stack().into_inner()), (vec![200], vec![429, 200]));
}

/// The first attempt hangs; a timeout inside ends that one, and the next candidate answers.
#[tokio::test]
async fn a_timeout_inside_ends_one_attempt() {
    let asked = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&asked);
    let handler = move || {
        let first = seen.fetch_add(1, Ordering::Relaxed) == 0;
        async move {
            if first {
                std::future::pending::<()>().await;
            }
            "done"
        }
    };
    let url = serve(Router::new().fallback(handler)).await;
    let service = ServiceBuilder::new()
        .layer(stack().into_inner())
        .layer(TimeoutLayer::with_status_code(
            StatusCode::SERVICE_UNAVAILABLE,
            Duration::from_secs(2),
        ))
        .layer(MapResponseBodyLayer::new(Body::new))
        .service(client());
    let request = Request::post(url)
        .header("content-type", "application/json")
        .body(Full::from(body(false)))
        .unwrap();
    let answer = service.oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(asked.load(Ordering::Relaxed) >= 2);
}
