//! One function a law, for any layer.

use std::convert::Infallible;
use std::fmt::Debug;
use std::future::{Future, Ready, ready};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Version};
use http_body::Body;
use http_body_util::combinators::WithTrailers;
use http_body_util::{BodyExt, Full};
use test_support::{Answer, Upstream, UpstreamError, ok, throttled_for};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok, task};
use tower::limit::{ConcurrencyLimit, GlobalConcurrencyLimitLayer};
use tower::{BoxError, Layer, Service, ServiceExt};
use tower_test::mock::{self, Mock};

pub(crate) type Chat = Request<Full<Bytes>>;
pub(crate) type Inner = Mock<Chat, Response<Full<Bytes>>>;
pub(crate) type Trailed = WithTrailers<Full<Bytes>, Ready<Option<Result<HeaderMap, Infallible>>>>;
pub(crate) type Limited = ConcurrencyLimit<Upstream>;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn chat() -> Chat {
    let body = r#"{"model":"qwen3-max","messages":[{"role":"user","content":"hello"}]}"#;
    Request::post("http://127.0.0.1/v1/chat/completions")
        .body(Full::from(body))
        .unwrap()
}

/// One permit for `upstream`, and the count of it.
fn one_permit(upstream: &Upstream) -> (Limited, Arc<Semaphore>) {
    let permits = Arc::new(Semaphore::new(1));
    let layer = GlobalConcurrencyLimitLayer::with_semaphore(Arc::clone(&permits));
    (layer.layer(upstream.clone()), permits)
}

pub(crate) async fn every_attempt_calls_an_instance_made_ready<L, R>(
    layer: L,
    sends: usize,
    refusal: Response<Full<Bytes>>,
) where
    L: Layer<Upstream>,
    L::Service: Service<Chat, Response = Response<R>, Error = UpstreamError> + Clone,
{
    // It panics when called unready, and its clones start out so.
    let script = [refusal, ok(), ok(), ok()].into_iter().take(sends + 2);
    let upstream = Upstream::new(script.collect::<Vec<_>>());
    let mut service = layer.layer(upstream.clone());
    service.ready().await.unwrap().call(chat()).await.unwrap();
    assert_eq!(upstream.take_requests().len(), sends);

    let mut clone = service.clone();
    clone.ready().await.unwrap().call(chat()).await.unwrap();
    service.ready().await.unwrap().call(chat()).await.unwrap();
    assert_eq!(upstream.take_requests().len(), 2);
}

pub(crate) async fn repeated_readiness_is_reserved_once<L, R>(layer: L)
where
    L: Layer<Limited>,
    L::Service: Service<Chat, Response = Response<R>, Error = UpstreamError>,
{
    let (limited, permits) = one_permit(&Upstream::new([ok()]));
    let mut service = layer.layer(limited);
    for _ in 0..3 {
        assert_ready_ok!(task::spawn(()).enter(|cx, _| service.poll_ready(cx)));
    }
    service.call(chat()).await.unwrap();
    drop(service);
    assert_eq!(permits.available_permits(), 1);
}

/// However long it takes until the call, and whoever else would like the permit.
pub(crate) async fn readiness_lasts_until_it_is_used<L, R>(layer: L)
where
    L: Layer<Limited>,
    L::Service: Service<Chat, Response = Response<R>, Error = UpstreamError> + Clone,
    R: Debug,
{
    let (limited, permits) = one_permit(&Upstream::new([ok()]));
    let mut service = layer.layer(limited);
    let mut other = task::spawn(service.clone().oneshot(chat()));
    service.ready().await.unwrap();
    let held = permits.available_permits() == 0; // one that is always ready holds nothing
    sleep(60 * SECOND).await;
    if held {
        assert_pending!(other.poll());
    }
    drop(other);
    service.call(chat()).await.unwrap();
    assert_eq!(permits.available_permits(), 1);
}

/// A service that counts how often it is asked for readiness.
#[derive(Clone, Debug)]
pub(crate) struct Asked<S> {
    inner: S,
    times: Arc<AtomicUsize>,
}

impl<S: Service<Chat>> Service<Chat> for Asked<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.times.fetch_add(1, Ordering::Relaxed);
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Chat) -> S::Future {
        self.inner.call(request)
    }
}

pub(crate) async fn a_call_asks_nobody_for_readiness<L, R>(layer: L)
where
    L: Layer<Asked<Upstream>>,
    L::Service: Service<Chat, Response = Response<R>, Error = UpstreamError>,
{
    let times = Arc::new(AtomicUsize::new(0));
    let mut service = layer.layer(Asked {
        inner: Upstream::answering(|_| ok()),
        times: Arc::clone(&times),
    });
    service.ready().await.unwrap();
    let before = times.load(Ordering::Relaxed);
    let sent = service.call(chat());
    let asked = times.load(Ordering::Relaxed) - before;
    assert_eq!(asked, 0, "asked for readiness in `call`");
    sent.await.unwrap();
}

pub(crate) fn the_task_it_moved_to_is_the_one_woken<L, R>(layer: L)
where
    L: Layer<Inner>,
    L::Service: Service<Chat, Response = Response<R>, Error = BoxError>,
    R: Debug,
{
    let (inner, mut handle) = mock::pair();
    handle.allow(0);
    let mut sent = pin!(layer.layer(inner).oneshot(chat()));
    let (mut left, mut moved_to) = (task::spawn(()), task::spawn(()));
    left.enter(|cx, _| assert_pending!(sent.as_mut().poll(cx)));
    moved_to.enter(|cx, _| assert_pending!(sent.as_mut().poll(cx)));
    handle.allow(1);
    assert!(moved_to.is_woken(), "the last waker is woken");

    moved_to.enter(|cx, _| assert_pending!(sent.as_mut().poll(cx)));
    left.enter(|cx, _| assert_pending!(sent.as_mut().poll(cx)));
    let (_, answer) = assert_ready!(task::spawn(handle.next_request()).poll()).unwrap();
    answer.send_response(ok());
    assert!(left.is_woken(), "the last waker is woken");
}

pub(crate) fn pending_readiness_wakes_once_there_is_room<L, R>(layer: L)
where
    L: Layer<Inner>,
    L::Service: Service<Chat, Response = Response<R>, Error = BoxError>,
    R: Debug,
{
    let (inner, mut handle) = mock::pair();
    handle.allow(0);
    let mut sent = task::spawn(layer.layer(inner).oneshot(chat()));
    assert_pending!(sent.poll());
    assert!(!sent.is_woken());

    handle.allow(1);
    assert!(sent.is_woken());
    assert_pending!(sent.poll());
    let (_, answer) = assert_ready!(task::spawn(handle.next_request()).poll()).unwrap();
    answer.send_response(ok());
    assert!(sent.is_woken());
    assert_ready_ok!(sent.poll());
}

pub(crate) fn an_error_of_readiness_is_kept<L, R>(layer: L)
where
    L: Layer<Inner>,
    L::Service: Service<Chat, Response = Response<R>, Error = BoxError>,
    R: Debug,
{
    let (inner, mut handle) = mock::pair();
    handle.send_error(UpstreamError("gone"));
    let mut sent = task::spawn(layer.layer(inner).oneshot(chat()));
    let error = assert_ready_err!(sent.poll());
    assert_eq!(
        *error.downcast::<UpstreamError>().unwrap(),
        UpstreamError("gone")
    );
}

/// The instance that failed is not asked again, and what it failed with is what the caller gets.
pub(crate) async fn an_error_of_readiness_is_kept_at_a_later_attempt<L, R>(
    layer: L,
    refusal: Response<Full<Bytes>>,
) where
    L: Layer<Inner>,
    L::Service: Service<Chat, Response = Response<R>, Error = BoxError>,
    R: Debug,
{
    let (inner, mut handle) = mock::pair();
    let (sent, ()) = tokio::join!(layer.layer(inner).oneshot(chat()), async {
        let (_, answer) = handle.next_request().await.unwrap();
        handle.send_error(UpstreamError("gone"));
        answer.send_response(refusal);
    });
    let error = sent.unwrap_err();
    assert_eq!(
        *error.downcast::<UpstreamError>().unwrap(),
        UpstreamError("gone")
    );
}

pub(crate) async fn an_error_of_a_call_is_kept<L, R>(layer: L)
where
    L: Layer<Upstream>,
    L::Service: Service<Chat, Response = Response<R>, Error = UpstreamError>,
    R: Debug,
{
    let upstream = Upstream::answering(|_| Answer::error("connection reset"));
    let error = layer.layer(upstream).oneshot(chat()).await.unwrap_err();
    assert_eq!(error, UpstreamError("connection reset"));
}

pub(crate) async fn a_response_is_kept_whole<L, R>(layer: L)
where
    L: Layer<Upstream<Trailed>>,
    L::Service: Service<Chat, Response = Response<R>, Error = UpstreamError>,
    R: Body<Data = Bytes, Error: Debug>,
{
    let upstream = Upstream::answering(|_| {
        let trailers = HeaderMap::from_iter([(
            HeaderName::from_static("x-end"),
            HeaderValue::from_static("kept"),
        )]);
        let body = Full::from("short and stout").with_trailers(ready(Some(Ok(trailers))));
        let answer = Response::builder()
            .status(StatusCode::IM_A_TEAPOT)
            .version(Version::HTTP_2);
        answer
            .header("x-own", "kept")
            .extension("kept")
            .body(body)
            .unwrap()
    });
    let (parts, body) = layer
        .layer(upstream)
        .oneshot(chat())
        .await
        .unwrap()
        .into_parts();
    assert_eq!(
        (parts.status, parts.version),
        (StatusCode::IM_A_TEAPOT, Version::HTTP_2)
    );
    assert_eq!(parts.headers["x-own"], "kept");
    assert!(parts.headers.len() <= 3, "{:?}", parts.headers);
    assert_eq!(parts.extensions.get(), Some(&"kept"));
    let body = body.collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()["x-end"], "kept");
    assert_eq!(body.to_bytes(), "short and stout");
}

pub(crate) fn dropping_gives_everything_back<L, R>(layer: L)
where
    L: Layer<Limited>,
    L::Service: Service<Chat, Response = Response<R>, Error = UpstreamError> + Clone,
    R: Debug,
{
    let upstream = Upstream::answering(|_| Answer::never());
    let (limited, permits) = one_permit(&upstream);
    let service = layer.layer(limited);

    // Made ready and never called.
    let mut ready = service.clone();
    assert_ready_ok!(task::spawn(()).enter(|cx, _| ready.poll_ready(cx)));
    drop(ready);
    assert_eq!(permits.available_permits(), 1);

    // Called and never polled; and called, polled and not answered.
    for polls in [0, 1, 3] {
        let mut ready = service.clone();
        assert_ready_ok!(task::spawn(()).enter(|cx, _| ready.poll_ready(cx)));
        let mut sent = task::spawn(ready.call(chat()));
        drop(ready);
        for _ in 0..polls {
            assert_pending!(sent.poll());
        }
        assert!(polls == 0 || upstream.in_flight() == 1);
        drop(sent);
        assert_eq!(upstream.in_flight(), 0, "still in flight after the drop");
        assert_eq!(permits.available_permits(), 1);
    }
}

pub(crate) async fn answers_and_errors_give_everything_back<L, R>(layer: L)
where
    L: Layer<Limited>,
    L::Service: Service<Chat, Response = Response<R>, Error = UpstreamError> + Clone,
    R: Body<Data = Bytes, Error: Debug>,
{
    let upstream = Upstream::new([Answer::from(ok()), Answer::error("reset"), ok().into()]);
    let (limited, permits) = one_permit(&upstream);
    let service = layer.layer(limited);
    let answer = service.clone().oneshot(chat()).await.unwrap();
    answer.into_body().collect().await.unwrap();
    service.clone().oneshot(chat()).await.map(drop).unwrap_err();
    drop(service.clone().oneshot(chat()).await.unwrap()); // and its body not read
    assert_eq!((upstream.in_flight(), permits.available_permits()), (0, 1));
}

/// Wherever it is: between attempts, in a wait, or done.
pub(crate) async fn a_refused_request_that_is_dropped_is_over<L, R>(layer: L)
where
    L: Layer<Limited>,
    L::Service: Service<Chat, Response = Response<R>, Error = UpstreamError>,
{
    let upstream = Upstream::answering(|_| throttled_for(60));
    let (limited, permits) = one_permit(&upstream);
    let mut sent = task::spawn(layer.layer(limited).oneshot(chat()));
    for _ in 0..3 {
        if sent.poll().is_ready() {
            break;
        }
    }
    let sends = upstream.arrivals().len();
    assert!(sends > 0);
    assert_eq!(permits.available_permits(), 1, "not held while waiting");
    drop(sent);
    sleep(600 * SECOND).await;
    assert_eq!(
        upstream.arrivals().len(),
        sends,
        "sent after it was dropped"
    );
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
}

pub(crate) async fn nothing_is_spawned_for_a_request_that_nothing_limits<L, R>(layer: L)
where
    L: Layer<Upstream>,
    L::Service: Service<Chat, Response = Response<R>, Error = UpstreamError>,
    R: Debug,
{
    let upstream = Upstream::answering(|_| Answer::from(ok()).after(SECOND));
    let mut service = layer.layer(upstream);
    let mut sent = task::spawn(service.ready().await.unwrap().call(chat()));
    assert_pending!(sent.poll());
    let tasks = Handle::current().metrics().num_alive_tasks();
    assert_eq!(tasks, 0, "a task was spawned");
    sleep(SECOND).await;
    assert_ready_ok!(sent.poll());
    let tasks = Handle::current().metrics().num_alive_tasks();
    assert_eq!(tasks, 0, "a task was spawned");
}

/// A clone has no part in the readiness of the service it was made from, and one that waits for its
/// refusal to pass holds nobody up.
pub(crate) async fn clones_take_turns_below_one_permit<L, R>(layer: L)
where
    L: Layer<Limited>,
    L::Service: Service<Chat, Response = Response<R>, Error = UpstreamError, Future: Send>
        + Clone
        + Send
        + 'static,
    R: Send + 'static,
{
    let mut most = 0;
    let mut refuse = true;
    let upstream = Upstream::answering(move |_| {
        let answer = if std::mem::take(&mut refuse) {
            throttled_for(1)
        } else {
            ok()
        };
        Answer::from(answer).after(SECOND / 10)
    });
    let (limited, permits) = one_permit(&upstream);
    let service = layer.layer(limited);
    let mut first = service.clone();
    first.ready().await.unwrap(); // and so it holds the permit
    let others = (0..5)
        .map(|_| tokio::spawn(service.clone().oneshot(chat())))
        .collect::<Vec<_>>();
    let watch = tokio::spawn({
        let upstream = upstream.clone();
        async move {
            for _ in 0..100 {
                sleep(SECOND / 100).await;
                most = most.max(upstream.in_flight());
            }
            most
        }
    });
    first.call(chat()).await.unwrap();
    for other in others {
        other.await.unwrap().unwrap();
    }
    assert_eq!(watch.await.unwrap(), 1);
    assert_eq!(permits.available_permits(), 1);
}

pub(crate) fn nobody_is_woken_in_vain<L, R>(layer: L)
where
    L: Layer<Inner>,
    L::Service: Service<Chat, Response = Response<R>, Error = BoxError>,
    R: Debug,
{
    let (inner, mut handle) = mock::pair();
    handle.allow(10);
    let mut sent = task::spawn(layer.layer(inner).oneshot(chat()));
    for _ in 0..3 {
        assert_pending!(sent.poll());
        assert!(!sent.is_woken(), "woken in vain");
    }
}

pub(crate) fn is_built_without_a_runtime_and_fits_everywhere<L>(layer: L)
where
    L: Layer<Upstream> + Clone + Debug + Send + Sync + 'static,
    L::Service: Clone + Debug + Send + Sync + 'static,
{
    let clone = layer.clone().layer(Upstream::silent()).clone();
    assert!(
        !format!("{layer:?} {clone:?}").contains("sk-"),
        "no key is shown"
    );
}
