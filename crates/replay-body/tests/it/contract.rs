//! What a tower service owes its neighbours: readiness, backpressure, cancellation, auto traits.

use std::fmt::Debug;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use replay_body::{
    IntoBody, IntoBodyLayer, Kept, KeptHead, Peek, PeekBody, Peeked, ReplayBody, ReplayFuture,
    ReplayLayer, ReplayService,
};
use test_support::{Steps, Upstream, ok};
use tokio::time;
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok, task};
use tower::limit::ConcurrencyLimitLayer;
use tower::{Layer, Service, ServiceBuilder, ServiceExt};
use tower_test::mock::{Handle, SendResponse, Spawn, spawn_layer};

type Inner = Handle<Request<ReplayBody<Steps>>, Response<()>>;
type Layered =
    Spawn<ReplayService<tower_test::mock::Mock<Request<ReplayBody<Steps>>, Response<()>>>>;

fn slow() -> Request<Steps> {
    let body = Steps::new().wait(Duration::from_secs(5)).data("slow");
    Request::new(body.stating_its_size())
}

fn at_hand() -> Request<Steps> {
    Request::new(Steps::new().data("quick").stating_its_size())
}

fn arrival(inner: &mut Inner) -> Poll<SendResponse<Response<()>>> {
    let mut request = task::spawn(inner.next_request());
    request.poll().map(|request| request.unwrap().1)
}

#[tokio::test(start_paused = true)]
async fn is_ready_when_the_inner_service_is() {
    let (mut service, mut inner): (Layered, Inner) = spawn_layer(ReplayLayer::new(100));
    inner.allow(0);
    assert_pending!(poll_ready(&mut service));
    inner.allow(1);
    assert_ready_ok!(poll_ready(&mut service));
}

/// `ServiceExt::ready` cannot tell which request is meant.
async fn ready<S>(service: &mut S) -> &mut S
where
    S: Service<Request<Steps>, Error: Debug>,
{
    service.ready().await.unwrap()
}

/// `Spawn::poll_ready` cannot tell which request is meant.
fn poll_ready(service: &mut Layered) -> Poll<Result<(), tower::BoxError>> {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    Service::<Request<Steps>>::poll_ready(service.get_mut(), &mut cx)
}

#[tokio::test(start_paused = true)]
async fn calls_only_an_instance_it_made_ready() {
    let upstream = Upstream::new([ok(), ok(), ok(), ok()]); // which panics otherwise
    let mut service = ReplayLayer::new(100).layer(upstream);
    for request in [slow(), at_hand(), Request::new(Steps::new()), slow()] {
        ready(&mut service).await.call(request).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_at_hand_needs_the_readiness_there_was_and_no_other() {
    let (mut service, mut inner): (Layered, Inner) = spawn_layer(ReplayLayer::new(100));
    inner.allow(1);
    assert_ready_ok!(poll_ready(&mut service));
    inner.allow(0);
    let mut response = task::spawn(service.call(at_hand()));
    assert_pending!(response.poll());
    assert_ready!(arrival(&mut inner)).send_response(Response::new(()));
    assert_ready_ok!(response.poll());
}

#[tokio::test(start_paused = true)]
async fn holds_no_permit_while_the_body_is_on_its_way() {
    let layers = ServiceBuilder::new()
        .layer(ReplayLayer::new(100))
        .layer(ConcurrencyLimitLayer::new(1));
    let mut service = layers.service(Upstream::new([ok(), ok()]));

    let mut waiting = task::spawn(ready(&mut service).await.call(slow()));
    assert_pending!(waiting.poll());
    let mut other = task::spawn(ready(&mut service).await.call(at_hand()));
    assert_ready_ok!(other.poll());
    drop(other);

    time::advance(Duration::from_secs(5)).await;
    assert!(waiting.is_woken());
    assert_ready_ok!(waiting.poll());
}

#[tokio::test(start_paused = true)]
async fn waits_for_readiness_once_the_body_is_there() {
    let (mut service, mut inner): (Layered, Inner) = spawn_layer(ReplayLayer::new(100));
    inner.allow(1);
    assert_ready_ok!(poll_ready(&mut service));
    let mut response = task::spawn(service.call(slow()));
    assert_pending!(response.poll());
    inner.allow(0);
    time::advance(Duration::from_secs(6)).await;
    assert_pending!(response.poll());
    assert_pending!(arrival(&mut inner));

    inner.allow(1);
    assert!(response.is_woken());
    assert_pending!(response.poll());
    assert_ready!(arrival(&mut inner)).send_response(Response::new(()));
    assert_ready_ok!(response.poll());
}

#[tokio::test(start_paused = true)]
async fn returns_a_readiness_error_met_after_the_wait() {
    let (mut service, mut inner): (Layered, Inner) = spawn_layer(ReplayLayer::new(100));
    assert_ready_ok!(poll_ready(&mut service));
    let mut response = task::spawn(service.call(slow()));
    assert_pending!(response.poll());
    inner.send_error("gone");
    time::advance(Duration::from_secs(6)).await;
    assert_eq!(assert_ready_err!(response.poll()).to_string(), "gone");
}

#[tokio::test(start_paused = true)]
async fn sends_nothing_after_being_dropped() {
    let (mut service, mut inner): (Layered, Inner) = spawn_layer(ReplayLayer::new(100));
    assert_ready_ok!(poll_ready(&mut service));
    let mut response = task::spawn(service.call(slow()));
    assert_pending!(response.poll());
    drop(response);
    time::advance(Duration::from_secs(6)).await;
    assert_pending!(arrival(&mut inner));
}

#[test]
fn implements_the_expected_traits() {
    fn layer_or_service<T: Clone + Debug + Send + Sync + Unpin + 'static>() {}
    fn future<T: Debug + Send + Sync + 'static>() {}
    fn body<T: Debug + Default + Send + Sync + Unpin + 'static>() {}
    fn empty<T: Default>() {}

    layer_or_service::<ReplayLayer>();
    layer_or_service::<ReplayService<Upstream>>();
    layer_or_service::<IntoBodyLayer<fn(Steps) -> Steps>>();
    layer_or_service::<IntoBody<Upstream, fn(Steps) -> Steps>>();
    future::<ReplayFuture<Upstream, Full<Bytes>>>();
    future::<Peek<Steps>>();
    future::<Peeked<Steps>>();
    future::<Kept<Full<Bytes>>>();
    future::<KeptHead>();
    body::<ReplayBody<Full<Bytes>>>();
    body::<PeekBody<Full<Bytes>>>();
    empty::<PeekBody<test_support::NotUnpin<Steps>>>(); // whose body has no default
}
