//! tower's and tower-http's layers on both sides of ours.

use std::time::Duration;

use ::axum::body::Body;
use http::{HeaderName, HeaderValue, StatusCode};
use tower::limit::ConcurrencyLimitLayer;
use tower::{ServiceBuilder, ServiceExt};
use tower_http::classify::{SharedClassifier, StatusInRangeAsFailures};
use tower_http::map_response_body::MapResponseBodyLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::sensitive_headers::SetSensitiveHeadersLayer;
use tower_http::set_header::SetRequestHeaderLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;

use crate::hyper::{answers, client};
use crate::layers::{falling_back, limiter, pacing, retrying, rotating, stack};
use crate::studio::{chat, studio};

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
