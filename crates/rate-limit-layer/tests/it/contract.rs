//! What a tower service owes its neighbours: readiness, backpressure, errors, auto traits.

use std::fmt::Debug;
use std::task::Poll;

use http::{Request, Response, StatusCode};
use rate_limit_layer::{Limiter, Quota, RateLimit, RateLimitLayer, ResponseBody, ResponseFuture};
use test_support::{Answer, NotUnpin, Steps, Upstream, ok};
use tokio_test::{assert_pending, assert_ready, assert_ready_ok, task};
use tower::limit::ConcurrencyLimitLayer;
use tower::{Layer, Service, ServiceBuilder, ServiceExt};
use tower_test::mock::{Handle, SendResponse, Spawn, spawn_layer};

use crate::support::{Body, ms, pass, request, send, service};

type Inner = Handle<Request<Body>, Response<Body>>;

const ONE_A_SECOND: Quota = Quota::new().requests_per_second(1);

/// The next request the inner service was sent, if it was sent one.
fn arrival(inner: &mut Inner) -> Poll<SendResponse<Response<Body>>> {
    let mut request = task::spawn(inner.next_request());
    request.poll().map(|request| request.unwrap().1)
}

fn layer() -> RateLimitLayer {
    RateLimitLayer::new(
        Limiter::builder()
            .default_quota(ONE_A_SECOND)
            .guard(ms(0))
            .build(),
    )
}

#[tokio::test(start_paused = true)]
async fn is_ready_when_the_inner_service_is() {
    let (mut service, mut inner): (Spawn<RateLimit<_>>, Inner) = spawn_layer(layer());
    inner.allow(0);
    assert_pending!(service.poll_ready());
    inner.allow(1);
    assert!(service.is_woken());
    assert_ready_ok!(service.poll_ready());
}

#[tokio::test(start_paused = true)]
async fn calls_only_an_instance_it_made_ready() {
    let upstream = Upstream::answering(|_| ok());
    let mut service = layer().layer(upstream.clone()); // which panics otherwise
    for _ in 0..3 {
        let ready = ServiceExt::<Request<Body>>::ready(&mut service)
            .await
            .unwrap();
        ready.call(request()).await.unwrap();
    }
    assert_eq!(upstream.arrivals().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_admitted_goes_through_the_instance_made_ready() {
    let (mut service, mut inner) = spawn_layer(layer());
    inner.allow(1);
    assert_ready_ok!(service.poll_ready());
    let mut response = task::spawn(service.call(request()));
    assert_ready!(arrival(&mut inner)).send_response(ok()); // before the future is even polled
    assert_ready_ok!(response.poll());
}

#[tokio::test(start_paused = true)]
async fn holds_no_readiness_while_waiting() {
    let layers = ServiceBuilder::new()
        .layer(layer())
        .layer(ConcurrencyLimitLayer::new(1))
        .into_inner();
    let (mut service, mut inner) = spawn_layer(layers);
    inner.allow(9);
    assert_ready_ok!(service.poll_ready());
    let mut first = task::spawn(service.call(request()));
    assert_ready!(arrival(&mut inner)).send_response(ok());
    assert_ready_ok!(first.poll());
    drop(first);

    assert_ready_ok!(service.poll_ready());
    let mut waiting = task::spawn(service.call(request()));
    assert_pending!(waiting.poll());
    assert_ready_ok!(service.poll_ready()); // the one permit there is
}

#[tokio::test(start_paused = true)]
async fn a_slow_inner_service_does_not_bunch_requests() {
    let upstream = Upstream::answering(|_| Answer::from(ok()).after(ms(5_000)));
    let limited = ServiceBuilder::new()
        .layer(layer())
        .concurrency_limit(1)
        .service(upstream.clone());
    let tasks: Vec<_> = (0..4)
        .map(|_| tokio::spawn(limited.clone().oneshot(request())))
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let arrivals = upstream.arrivals();
    assert!(
        arrivals.windows(2).all(|pair| pair[1] - pair[0] >= 1000),
        "{arrivals:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_layer_makes_and_clones_shares_one_quota() {
    let layer = layer();
    let upstream = Upstream::answering(|_| ok());
    let (one, two) = (
        layer.layer(upstream.clone()),
        layer.clone().layer(upstream.clone()),
    );
    let tasks = [
        send(&one, request()),
        send(&two, request()),
        send(&one.clone(), request()),
    ];
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(upstream.arrivals(), [0, 1000, 2000]);
}

#[tokio::test(start_paused = true)]
async fn an_error_passes_through() {
    let upstream =
        Upstream::<Body>::new([Answer::error("connection reset"), Answer::error("again")]);
    let service = layer().layer(upstream.clone());
    for message in ["connection reset", "again"] {
        let error = service.clone().oneshot(request()).await.unwrap_err();
        assert_eq!(error.0, message);
    }
    assert_eq!(upstream.arrivals(), [0, 1000]);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_readiness_met_after_the_wait_passes_through() {
    let (mut service, mut inner) = spawn_layer(layer());
    inner.allow(2);
    assert_ready_ok!(service.poll_ready());
    let mut first = task::spawn(service.call(request()));
    assert_ready!(arrival(&mut inner)).send_response(ok());
    assert_ready_ok!(first.poll());
    assert_ready_ok!(service.poll_ready());
    let mut waiting = task::spawn(service.call(request()));
    assert_pending!(waiting.poll());

    inner.send_error("gone");
    pass(1100).await;
    let error = tokio_test::assert_ready_err!(waiting.poll());
    assert_eq!(error.to_string(), "gone");
}

#[tokio::test(start_paused = true)]
async fn an_error_of_readiness_gives_everything_back_at_once() {
    let limiter = Limiter::new(ONE_A_SECOND);
    let (mut service, mut inner) = spawn_layer(RateLimitLayer::new(limiter.clone()));
    inner.allow(2);
    assert_ready_ok!(service.poll_ready());
    let mut first = task::spawn(service.call(request()));
    assert_ready!(arrival(&mut inner)).send_response(ok());
    assert_ready_ok!(first.poll());
    assert_ready_ok!(service.poll_ready());
    let mut waiting = task::spawn(service.call(request()));
    assert_pending!(waiting.poll());
    inner.send_error("gone");
    pass(1100).await;
    tokio_test::assert_ready_err!(waiting.poll());
    // Whoever has the future still does not keep what it held.
    let snapshot = &limiter.snapshot()[0];
    assert_eq!((snapshot.in_flight, snapshot.limits[0].used), (0, 0));
    assert_eq!(snapshot.waiting, 0);
    drop(waiting);
}

#[tokio::test(start_paused = true)]
async fn an_error_ends_a_request_at_once() {
    let limiter = Limiter::new(Quota::new().concurrent(1));
    let upstream = Upstream::<Body>::new([Answer::error("reset"), Answer::from(ok())]);
    let service = service(&limiter, &upstream);
    let mut failed = task::spawn(service.clone().oneshot(request()));
    tokio_test::assert_ready_err!(failed.poll());
    assert_eq!(limiter.snapshot()[0].in_flight, 0);
    service.oneshot(request()).await.unwrap();
    drop(failed);
    assert_eq!(limiter.snapshot()[0].in_flight, 0);
}

#[test]
fn one_that_waits_outside_a_runtime_panics_and_holds_nobody_up() {
    use std::future::Future;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::task::{Context, Waker};

    use tokio::time::{Instant, timeout};

    let limiter = Limiter::new(ONE_A_SECOND);
    let upstream = Upstream::answering(|_| ok());
    let service = service(&limiter, &upstream);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let sent = || {
        let service = service.clone();
        runtime.block_on(async move {
            let began = Instant::now();
            let answer = timeout(ms(60_000), service.oneshot(request())).await;
            answer.unwrap().unwrap();
            began.elapsed()
        })
    };
    assert_eq!(sent(), ms(0));
    let mut lost = Box::pin(service.clone().oneshot(request()));
    let polled = catch_unwind(AssertUnwindSafe(|| {
        lost.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }));
    assert!(polled.is_err());
    assert!(sent() < ms(1100));
    drop(lost);
}

#[tokio::test(start_paused = true)]
async fn a_response_that_is_no_refusal_comes_back_as_it_is() {
    let mut teapot = ok();
    *teapot.status_mut() = StatusCode::IM_A_TEAPOT;
    let upstream = Upstream::new([teapot]);
    let response = layer().layer(upstream).oneshot(request()).await.unwrap();
    assert_eq!(response.status(), StatusCode::IM_A_TEAPOT);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_spawned_for_a_request_that_is_admitted() {
    let limiter = Limiter::new(ONE_A_SECOND);
    let upstream = Upstream::answering(|_| ok());
    let tasks = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    service(&limiter, &upstream)
        .oneshot(request())
        .await
        .unwrap();
    assert_eq!(
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks(),
        tasks
    );
}

#[test]
fn is_built_without_a_runtime() {
    let limiter = Limiter::new(ONE_A_SECOND);
    RateLimitLayer::new(limiter).layer(()).into_inner();
}

#[test]
fn one_limiter_serves_one_runtime_after_another() {
    let limiter = Limiter::builder()
        .default_quota(Quota::new().requests_per_minute(600))
        .build();
    for round in 1..=3 {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let upstream = Upstream::answering(|_| ok());
            let service = service(&limiter, &upstream);
            // The runtime ends while some still wait, and their driver with it.
            let tasks: Vec<_> = (0..100).map(|_| send(&service, request())).collect();
            // Each runtime's paused clock begins at the real time, behind the one before.
            pass(round * 2000).await;
            assert!(!upstream.arrivals().is_empty());
            assert!(tasks.len() > upstream.arrivals().len());
        });
    }
}

#[test]
fn implements_the_expected_traits() {
    fn layer_or_service<T: Clone + Debug + Send + Sync + Unpin + 'static>() {}
    fn future<T: Debug + Send + 'static>() {}
    fn body<T: Debug + Default + Send + Sync + 'static>() {}

    layer_or_service::<Limiter>();
    layer_or_service::<RateLimitLayer>();
    layer_or_service::<RateLimit<Upstream>>();
    future::<ResponseFuture<Upstream, Body, Body>>();
    body::<ResponseBody<Body>>();
    body::<ResponseBody<NotUnpin<Steps>>>();
}
