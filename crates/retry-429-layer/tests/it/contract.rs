//! What a tower service owes its neighbours: readiness, backpressure, cancellation, auto traits.

use std::fmt::Debug;
use std::task::Poll;

use http::{Request, Response};
use retry_429_layer::{Backoff, ResponseFuture, Retry429, Retry429Layer};
use test_support::{Upstream, ok, throttled_for};
use tokio::time;
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok, task};
use tower::limit::ConcurrencyLimitLayer;
use tower::{Layer, Service, ServiceBuilder, ServiceExt};
use tower_test::mock::{Handle, SendResponse, Spawn, spawn_layer};

use crate::{Body, layer, request, secs};

type Inner = Handle<Request<Body>, Response<Body>>;

/// The next request the inner service was sent, if it was sent one.
fn arrival(inner: &mut Inner) -> Poll<SendResponse<Response<Body>>> {
    let mut request = task::spawn(inner.next_request());
    request.poll().map(|request| request.unwrap().1)
}

#[tokio::test(start_paused = true)]
async fn is_ready_when_the_inner_service_is() {
    let (mut service, mut inner): (Spawn<Retry429<_>>, Inner) = spawn_layer(layer());

    inner.allow(0);
    assert_pending!(service.poll_ready());
    inner.allow(1);
    assert!(service.is_woken());
    assert_ready_ok!(service.poll_ready());
}

#[tokio::test(start_paused = true)]
async fn calls_only_an_instance_it_made_ready() {
    let upstream = Upstream::new([throttled_for(1), ok(), throttled_for(1), ok()]);
    let mut service = layer().layer(upstream.clone()); // which panics otherwise

    for _ in 0..2 {
        let service = ServiceExt::<Request<Body>>::ready(&mut service)
            .await
            .unwrap();
        assert_eq!(service.call(request()).await.unwrap().status(), 200);
    }
    assert_eq!(upstream.arrivals().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn waits_for_readiness_before_a_retry() {
    let (mut service, mut inner) = spawn_layer(layer());
    inner.allow(1);
    assert_ready_ok!(service.poll_ready());
    let mut response = task::spawn(service.call(request()));
    assert_ready!(arrival(&mut inner)).send_response(throttled_for(1));
    assert_pending!(response.poll());

    time::advance(secs(2)).await;
    assert_pending!(response.poll());
    assert_pending!(arrival(&mut inner)); // the wait is over, but the inner service has no room

    inner.allow(1);
    assert!(response.is_woken());
    assert_pending!(response.poll());
    assert_ready!(arrival(&mut inner)).send_response(ok());
    assert_ready_ok!(response.poll());
}

#[tokio::test(start_paused = true)]
async fn holds_no_permit_while_waiting() {
    let layers = ServiceBuilder::new()
        .layer(layer())
        .layer(ConcurrencyLimitLayer::new(1))
        .into_inner();
    let (mut service, mut inner) = spawn_layer(layers);

    assert_ready_ok!(service.poll_ready());
    let mut refused = task::spawn(service.call(request()));
    assert_ready!(arrival(&mut inner)).send_response(throttled_for(30));
    assert_pending!(refused.poll());

    assert_ready_ok!(service.poll_ready());
    let mut other = task::spawn(service.call(request()));
    assert_ready!(arrival(&mut inner)).send_response(ok());
    assert_ready_ok!(other.poll());
}

#[tokio::test(start_paused = true)]
async fn drops_the_failed_response_before_the_wait() {
    use std::sync::Arc;

    let alive = Arc::new(());
    let mut refusal = throttled_for(30);
    refusal.extensions_mut().insert(Arc::clone(&alive));
    let (mut service, mut inner) = spawn_layer(layer());
    assert_ready_ok!(service.poll_ready());
    let mut response = task::spawn(service.call(request()));
    assert_ready!(arrival(&mut inner)).send_response(refusal);
    assert_eq!(Arc::strong_count(&alive), 2);

    assert_pending!(response.poll());
    assert_eq!(Arc::strong_count(&alive), 1);
}

#[tokio::test(start_paused = true)]
async fn returns_an_error_unretried() {
    let (mut service, mut inner) = spawn_layer(layer());
    assert_ready_ok!(service.poll_ready());
    let mut response = task::spawn(service.call(request()));
    assert_ready!(arrival(&mut inner)).send_error("connection reset");

    let error = assert_ready_err!(response.poll());
    assert_eq!(error.to_string(), "connection reset");
    assert_pending!(arrival(&mut inner));
}

#[tokio::test(start_paused = true)]
async fn returns_a_readiness_error_met_before_a_retry() {
    let (mut service, mut inner) = spawn_layer(layer());
    assert_ready_ok!(service.poll_ready());
    let mut response = task::spawn(service.call(request()));
    assert_ready!(arrival(&mut inner)).send_response(throttled_for(1));
    assert_pending!(response.poll());

    inner.send_error("gone");
    time::advance(secs(2)).await;
    let error = assert_ready_err!(response.poll());
    assert_eq!(error.to_string(), "gone");
}

#[tokio::test(start_paused = true)]
async fn sends_nothing_after_being_dropped() {
    let (mut service, mut inner) = spawn_layer(layer());
    assert_ready_ok!(service.poll_ready());
    let mut response = task::spawn(service.call(request()));
    assert_ready!(arrival(&mut inner)).send_response(throttled_for(1));
    assert_pending!(response.poll());

    drop(response);
    time::advance(secs(2)).await;
    assert_pending!(arrival(&mut inner));
}

#[tokio::test(start_paused = true)]
async fn is_not_woken_before_the_wait_is_over() {
    let (mut service, mut inner) = spawn_layer(layer());
    assert_ready_ok!(service.poll_ready());
    let mut response = task::spawn(service.call(request()));
    assert_ready!(arrival(&mut inner)).send_response(throttled_for(7));
    assert_pending!(response.poll());

    time::advance(secs(6)).await;
    assert!(!response.is_woken());
    time::advance(secs(2)).await;
    assert!(response.is_woken());
}

#[test]
fn is_built_without_a_runtime() {
    let service = Retry429Layer::new().layer(());
    let () = service.into_inner();
}

#[test]
fn implements_the_expected_traits() {
    fn layer_or_service<T: Clone + Debug + Send + Sync + Unpin + 'static>() {}
    fn future<T: Debug + Send + 'static>() {}

    layer_or_service::<Retry429Layer>();
    layer_or_service::<Retry429<Upstream>>();
    future::<ResponseFuture<Upstream, Backoff, Body, Body>>();
}
