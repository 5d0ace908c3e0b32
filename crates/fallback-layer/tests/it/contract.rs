//! What a tower service owes its neighbours: readiness, backpressure, cancellation, auto traits.

use std::fmt::Debug;
use std::task::Poll;
use std::time::Duration;

use fallback_layer::{Candidate, Fallback, FallbackLayer, NoError, ResponseFuture};
use http::{Request, Response, StatusCode};
use test_support::{Answer, Seen, Upstream, ok};
use throttle_signal::{Deadline, Kind, Throttle};
use tokio::time;
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok, task};
use tower::limit::{ConcurrencyLimit, ConcurrencyLimitLayer};
use tower::{Layer, Service, ServiceBuilder, ServiceExt};
use tower_test::mock::{Handle, SendResponse, Spawn, spawn_layer};

use crate::{Body, model, models, refused, request};

type Inner = Handle<Request<Body>, Response<Body>>;

fn layer() -> FallbackLayer {
    FallbackLayer::new([Candidate::model("max"), Candidate::model("plus")])
}

fn exhausted() -> Response<Body> {
    refused(Throttle::new(Kind::QuotaExhausted))
}

/// The next request the inner service was sent, if it was sent one.
fn arrival(inner: &mut Inner) -> Poll<SendResponse<Response<Body>>> {
    let mut request = task::spawn(inner.next_request());
    request.poll().map(|request| request.unwrap().1)
}

#[tokio::test(start_paused = true)]
async fn is_always_ready_and_waits_for_the_inner_service_in_its_future() {
    let (mut service, mut inner): (Spawn<Fallback<_>>, Inner) = spawn_layer(layer());
    inner.allow(0);
    assert_ready_ok!(service.poll_ready::<Request<Body>>());
    let mut response = task::spawn(service.call(request()));
    assert_pending!(response.poll());
    inner.allow(1);
    assert!(response.is_woken());
    assert_pending!(response.poll());
    assert_ready!(arrival(&mut inner)).send_response(ok());
    assert_ready_ok!(response.poll());
}

#[tokio::test(start_paused = true)]
async fn calls_only_an_instance_it_made_ready() {
    let upstream = Upstream::answering(|seen: &Seen| {
        if model(seen) == "max" {
            exhausted()
        } else {
            ok()
        }
    });
    let mut service = layer().layer(upstream); // which panics otherwise
    for _ in 0..3 {
        assert_eq!(
            service.call(request()).await.unwrap().status(),
            StatusCode::OK
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_without_room_is_left_when_the_patience_is_over() {
    let (mut service, mut inner) = spawn_layer(layer());
    inner.allow(0);
    let mut response = task::spawn(service.call(request()));
    assert_pending!(response.poll());
    time::advance(Candidate::PATIENCE + Duration::from_millis(1)).await;
    assert_pending!(response.poll());
    inner.allow(1);
    assert_pending!(response.poll());
    let (arrived, answer) = inner.next_request().await.unwrap();
    assert!(format!("{:?}", arrived.body()).contains("plus"));
    answer.send_response(ok());
    let response = assert_ready_ok!(response.poll());
    assert_eq!(response.headers()["x-fallback-candidate"], "plus");
}

#[tokio::test(start_paused = true)]
async fn goes_through_a_concurrency_limit_of_one() {
    let upstream = Upstream::answering(|seen: &Seen| {
        if model(seen) == "max" {
            exhausted()
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
async fn returns_an_error_untouched() {
    let (mut service, mut inner) = spawn_layer(layer());
    let mut response = task::spawn(service.call(request()));
    assert_pending!(response.poll());
    assert_ready!(arrival(&mut inner)).send_error("connection reset");
    assert_eq!(
        assert_ready_err!(response.poll()).to_string(),
        "connection reset"
    );
    assert_pending!(arrival(&mut inner));
}

#[tokio::test(start_paused = true)]
async fn returns_a_readiness_error() {
    let (mut service, mut inner): (Spawn<Fallback<_>>, Inner) = spawn_layer(layer());
    inner.send_error("gone");
    let mut response = task::spawn(service.call(request()));
    assert_eq!(assert_ready_err!(response.poll()).to_string(), "gone");
}

#[tokio::test(start_paused = true)]
async fn sends_nothing_after_being_dropped() {
    let upstream = Upstream::new([Answer::<Body>::never()]);
    let mut service = layer().layer(upstream.clone());
    let mut response = task::spawn(service.call(request()));
    assert_pending!(response.poll());
    assert_eq!(upstream.in_flight(), 1);
    drop(response);
    assert_eq!(upstream.in_flight(), 0);
    assert_eq!(models(&upstream), "max");
}

#[tokio::test(start_paused = true)]
async fn what_was_learned_is_shared_by_clones_and_services() {
    let layer = layer();
    let upstream = Upstream::answering(|seen: &Seen| {
        if model(seen) == "max" {
            exhausted()
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
    assert_eq!(models(&upstream), "max plus plus");
}

#[test]
fn is_built_without_a_runtime() {
    layer().layer(()).into_inner();
}

#[test]
fn implements_the_expected_traits() {
    fn layer_or_service<T: Clone + Debug + Send + Sync + Unpin + 'static>() {}
    fn future<T: Debug + Send + 'static>() {}

    layer_or_service::<FallbackLayer>();
    layer_or_service::<Fallback<()>>();
    future::<ResponseFuture<Upstream, Body, Body, NoError>>();
}

#[tokio::test(start_paused = true)]
async fn one_that_left_a_busy_service_for_another_holds_no_place_there() {
    const ANSWER: Duration = Duration::from_secs(60);
    let one_at_a_time = || {
        let upstream = Upstream::answering(|_: &Seen| Answer::from(ok()).after(ANSWER));
        ConcurrencyLimit::new(upstream, 1)
    };
    let (one, two) = (one_at_a_time(), one_at_a_time());
    let service = FallbackLayer::new([Candidate::model("max")])
        .layer(one.clone())
        .or(Candidate::named("elsewhere"), two);
    let start = time::Instant::now();
    let first = tokio::spawn(one.clone().oneshot(request()));
    time::sleep(Duration::from_secs(30)).await;
    let left = tokio::spawn(service.oneshot(request()));
    first.await.unwrap().unwrap();
    // The answer of the other service takes until 92 s; the one it left is free at 60 s.
    one.oneshot(request()).await.unwrap();
    assert_eq!(start.elapsed(), 2 * ANSWER);
    let response = left.await.unwrap().unwrap();
    assert_eq!(response.headers()["x-fallback-candidate"], "elsewhere");
}

#[tokio::test(start_paused = true)]
async fn a_service_without_room_is_not_waited_for_past_the_deadline() {
    let (mut service, mut inner) = spawn_layer(layer());
    inner.allow(0);
    let start = time::Instant::now();
    let mut request = request();
    let deadline = Deadline(start + Duration::from_secs(5));
    request.extensions_mut().insert(deadline);
    let response = service.call(request).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(5));
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    inner.allow(1);
    assert_pending!(arrival(&mut inner));
}
