//! What a tower service owes its neighbours: readiness, backpressure, cancellation, auto traits.

use std::fmt::Debug;
use std::task::Poll;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use key_rotation_layer::{KeyPool, KeyRotation, KeyRotationLayer, ResponseFuture};
use throttle_signal::{Classified, Kind, Origin, Scope, StartBy, Wait};
use tokio::time;
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok, task};
use tower::limit::ConcurrencyLimitLayer;
use tower::{Layer, Service, ServiceBuilder, ServiceExt};
use tower_test::mock::{Handle, SendResponse, Spawn, spawn_layer};

use crate::upstream::{Body, Upstream, ok, refused, request, throttle};

type Inner = Handle<Request<Body>, Response<Body>>;

fn layer() -> KeyRotationLayer {
    let pool = KeyPool::builder()
        .account("a", ["sk-a"])
        .account("b", ["sk-b"])
        .build()
        .unwrap();
    KeyRotationLayer::new(pool)
}

fn throttled() -> Response<Body> {
    refused(
        throttle(Kind::RequestRate, Scope::Model).with_wait(Wait::Stated(Duration::from_secs(60))),
    )
}

/// The next request the inner service was sent, if it was sent one.
fn arrival(inner: &mut Inner) -> Poll<SendResponse<Response<Body>>> {
    let mut request = task::spawn(inner.next_request());
    request.poll().map(|request| request.unwrap().1)
}

#[tokio::test(start_paused = true)]
async fn is_ready_when_the_inner_service_is() {
    let (mut service, mut inner): (Spawn<KeyRotation<_>>, Inner) = spawn_layer(layer());
    inner.allow(0);
    assert_pending!(service.poll_ready::<Request<Body>>());
    inner.allow(1);
    assert!(service.is_woken());
    assert_ready_ok!(service.poll_ready::<Request<Body>>());
}

#[tokio::test(start_paused = true)]
async fn calls_only_an_instance_it_made_ready() {
    let upstream = Upstream::new(|seen| {
        if seen.account == "a" {
            throttled()
        } else {
            ok()
        }
    });
    let mut service = layer().layer(upstream); // which panics otherwise
    for _ in 0..3 {
        let response = service
            .ready()
            .await
            .unwrap()
            .call(request())
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }
}

#[tokio::test(start_paused = true)]
async fn waits_for_readiness_before_the_next_key() {
    let (mut service, mut inner) = spawn_layer(layer());
    inner.allow(1);
    assert_ready_ok!(service.poll_ready::<Request<Body>>());
    let mut response = task::spawn(service.call(request()));
    assert_ready!(arrival(&mut inner)).send_response(throttled());
    assert_pending!(response.poll());
    assert_pending!(arrival(&mut inner));

    inner.allow(1);
    assert!(response.is_woken());
    assert_pending!(response.poll());
    assert_ready!(arrival(&mut inner)).send_response(ok());
    assert_eq!(assert_ready_ok!(response.poll()).status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn goes_through_a_concurrency_limit_of_one() {
    let upstream = Upstream::new(|seen| {
        if seen.account == "a" {
            throttled()
        } else {
            ok()
        }
    });
    let service = ServiceBuilder::new()
        .layer(layer())
        .layer(ConcurrencyLimitLayer::new(1))
        .service(upstream);
    let send = || service.clone().oneshot(request());
    let (one, two) = tokio::join!(send(), send());
    assert_eq!(
        (one.unwrap().status(), two.unwrap().status()),
        (StatusCode::OK, StatusCode::OK)
    );
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_pools_own_lets_go_of_readiness() {
    let upstream = Upstream::new(|_| throttled());
    let mut service = ServiceBuilder::new()
        .layer(layer())
        .layer(ConcurrencyLimitLayer::new(1))
        .service(upstream);
    service
        .ready()
        .await
        .unwrap()
        .call(request())
        .await
        .unwrap();
    for _ in 0..3 {
        // The permit a ready instance held must be free for the other one.
        let response = service
            .ready()
            .await
            .unwrap()
            .call(request())
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        let mut other = service.clone();
        assert_ready_ok!(task::spawn(std::future::poll_fn(|cx| other.poll_ready(cx))).poll());
    }
}

#[tokio::test(start_paused = true)]
async fn returns_an_error_untouched_and_gives_the_key_back() {
    let (mut service, mut inner) = spawn_layer(layer());
    assert_ready_ok!(service.poll_ready::<Request<Body>>());
    let mut response = task::spawn(service.call(request()));
    assert_ready!(arrival(&mut inner)).send_error("connection reset");
    let error = assert_ready_err!(response.poll());
    assert_eq!(error.to_string(), "connection reset");
    assert_pending!(arrival(&mut inner));
}

#[tokio::test(start_paused = true)]
async fn returns_a_readiness_error_met_before_the_next_key() {
    let (mut service, mut inner) = spawn_layer(layer());
    inner.allow(1);
    assert_ready_ok!(service.poll_ready::<Request<Body>>());
    let mut response = task::spawn(service.call(request()));
    assert_ready!(arrival(&mut inner)).send_response(throttled());
    assert_pending!(response.poll());
    inner.send_error("gone");
    assert_eq!(assert_ready_err!(response.poll()).to_string(), "gone");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_probe_leaves_the_next_request_to_probe() {
    let pool = KeyPool::builder().account("a", ["sk-a"]).build().unwrap();
    let (mut service, mut inner) = spawn_layer(KeyRotationLayer::new(pool));
    assert_ready_ok!(service.poll_ready::<Request<Body>>());
    let mut response = task::spawn(service.call(request()));
    assert_ready!(arrival(&mut inner)).send_response(throttled());
    assert_ready_ok!(response.poll());
    time::advance(Duration::from_secs(60)).await;

    for _ in 0..3 {
        assert_ready_ok!(service.poll_ready::<Request<Body>>());
        let probe = task::spawn(service.call(request()));
        assert_ready!(arrival(&mut inner)); // it was sent,
        drop(probe); // and nobody waits for it
    }
}

#[tokio::test(start_paused = true)]
async fn sends_nothing_after_being_dropped() {
    let (mut service, mut inner) = spawn_layer(layer());
    assert_ready_ok!(service.poll_ready::<Request<Body>>());
    let mut response = task::spawn(service.call(request()));
    let answer = assert_ready!(arrival(&mut inner));
    assert_pending!(response.poll());
    drop(response);
    answer.send_response(throttled());
    assert_pending!(arrival(&mut inner));
}

#[tokio::test(start_paused = true)]
async fn what_was_learned_is_shared_by_clones_and_services() {
    let layer = layer();
    let upstream = Upstream::new(|seen| {
        if seen.account == "a" {
            throttled()
        } else {
            ok()
        }
    });
    layer
        .layer(upstream.clone())
        .oneshot(request())
        .await
        .unwrap();
    layer
        .clone()
        .layer(upstream.clone())
        .oneshot(request())
        .await
        .unwrap();
    assert_eq!(upstream.accounts(), "a b b");
}

#[test]
fn is_built_without_a_runtime() {
    layer().layer(()).into_inner();
}

#[test]
fn implements_the_expected_traits() {
    fn layer_or_service<T: Clone + Debug + Send + Sync + Unpin + 'static>() {}
    fn future<T: Debug + Send + 'static>() {}

    layer_or_service::<KeyRotationLayer>();
    layer_or_service::<KeyRotation<()>>();
    layer_or_service::<KeyPool>();
    future::<ResponseFuture<Upstream2, Body, Body>>();
}

type Upstream2 =
    tower::util::BoxCloneSyncService<Request<Body>, Response<Body>, std::convert::Infallible>;

#[tokio::test(start_paused = true)]
async fn the_next_key_does_not_wait_for_room_longer_than_the_request_may() {
    let (mut service, mut inner) = spawn_layer(layer());
    inner.allow(1);
    assert_ready_ok!(service.poll_ready::<Request<Body>>());
    let start = time::Instant::now();
    let mut request = request();
    let late = StartBy(start + Duration::from_secs(5));
    request.extensions_mut().insert(late);
    let mut response = task::spawn(service.call(request));
    assert_ready!(arrival(&mut inner)).send_response(throttled());
    assert_pending!(response.poll());
    let answer = response.await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(5));
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    let throttle = Classified::throttle(answer.extensions()).unwrap();
    assert_eq!(throttle.origin(), Origin::Pool);
    assert!(throttle.retry());
    inner.allow(1);
    assert_pending!(arrival(&mut inner));
}
