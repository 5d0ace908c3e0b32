//! A layer that answers in the upstream's stead lets go of the readiness it did not use.

use std::sync::Arc;
use std::time::Duration;

use http::{Response, StatusCode};
use key_rotation_layer::{KeyPool, KeyRotationLayer};
use rate_limit_layer::inbound::Rate;
use rate_limit_layer::{Limiter, Quota, RateLimitLayer};
use test_support::{Answer, Upstream, UpstreamError, ok, throttled_for};
use tokio::sync::Semaphore;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::{Layer, Service, ServiceExt};

use crate::laws::{Chat, Limited, chat};

/// Sends what is answered so, and then what the layer refuses by itself.
async fn a_refusal_of_its_own_holds_nothing<L, R>(layer: L, first: impl Into<Answer>)
where
    L: Layer<Limited>,
    L::Service: Service<Chat, Response = Response<R>, Error = UpstreamError>,
{
    let upstream = Upstream::new([first.into()]);
    let permits = Arc::new(Semaphore::new(1));
    let limited = GlobalConcurrencyLimitLayer::with_semaphore(Arc::clone(&permits));
    let mut service = layer.layer(limited.layer(upstream.clone()));
    service.ready().await.unwrap().call(chat()).await.unwrap();
    let refused = service.ready().await.unwrap().call(chat()).await.unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(upstream.arrivals().len(), 1);
    assert_eq!(permits.available_permits(), 1, "held by a refusal");
    drop(service); // not before
}

#[tokio::test(start_paused = true)]
async fn of_a_caller_that_calls_too_often() {
    let layer = crate::inbound_of(Rate::per_minute(1));
    a_refusal_of_its_own_holds_nothing(layer, ok()).await;
}

#[tokio::test(start_paused = true)]
async fn of_a_request_that_would_wait_too_long() {
    let limiter = Limiter::builder()
        .default_quota(Quota::new().requests_per_minute(1))
        .max_wait(Duration::ZERO);
    a_refusal_of_its_own_holds_nothing(RateLimitLayer::new(limiter.build()), ok()).await;
}

#[tokio::test(start_paused = true)]
async fn of_a_pool_that_cools() {
    let pool = KeyPool::builder().account("a", ["sk-a1"]).build().unwrap();
    let layer = KeyRotationLayer::new(pool);
    a_refusal_of_its_own_holds_nothing(layer, throttled_for(60)).await;
}
