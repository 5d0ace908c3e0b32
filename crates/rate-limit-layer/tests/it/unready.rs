//! Requests whose turn has come and whose service below is not ready: they hold nothing meanwhile.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Request, Response};
use rate_limit_layer::{Limiter, Quota, RateLimitLayer, ResponseFuture};
use test_support::{Answer, Upstream, UpstreamError, ok};
use throttle_signal::Priority;
use tokio::time::{Sleep, sleep, timeout};
use tokio_test::{assert_pending, assert_ready_ok, task};
use tower::limit::ConcurrencyLimit;
use tower::{Layer, Service, ServiceExt};

use crate::support::{Body, ms, pass, request, send, service};

type Busy = ConcurrencyLimit<Upstream>;

/// A request that has to wait, of a service that is not ready for as long as what comes with it is kept.
fn unready(
    limiter: &Limiter,
    upstream: &Upstream,
    request: Request<Body>,
) -> (ResponseFuture<Busy, Body, Body>, Busy) {
    let mut kept = ConcurrencyLimit::new(upstream.clone(), 1);
    let mut service = RateLimitLayer::new(limiter.clone()).layer(kept.clone());
    assert_ready_ok!(is_ready(&mut service));
    let waiting = service.call(request);
    assert_ready_ok!(is_ready(&mut kept)); // which the one that waits does not hold any more
    (waiting, kept)
}

fn is_ready<S: Service<Request<Body>>>(service: &mut S) -> Poll<Result<(), S::Error>> {
    let mut ready = task::spawn(ServiceExt::ready(service));
    ready.poll().map_ok(|_| ())
}

fn limiter(quota: Quota) -> Limiter {
    let limiter = Limiter::builder().default_quota(quota);
    limiter.guard(ms(0)).build()
}

#[tokio::test(start_paused = true)]
async fn one_that_is_not_polled_holds_up_nobody() {
    let slow = || Upstream::answering(|_| Answer::from(ok()).after(ms(60_000)));
    for quota in [
        Quota::new().concurrent(1),
        Quota::new().requests_per_minute(1),
    ] {
        let (limiter, upstream) = (limiter(quota), slow());
        let service = service(&limiter, &upstream);
        let first = send(&service, request());
        pass(1).await;
        let (unready, _kept) = unready(&limiter, &upstream, request());
        let mut unready = task::spawn(unready);
        assert_pending!(unready.poll());
        let other = send(&service, request());
        drop(first.await.unwrap().unwrap());
        pass(1).await;
        assert!(unready.is_woken());
        assert_pending!(unready.poll()); // its turn, and the last time it is polled
        timeout(ms(300_000), other).await.unwrap().unwrap().unwrap();
        let second = upstream.arrivals()[1];
        assert!((60_000..60_005).contains(&second), "{second} {quota:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_becomes_ready_has_its_place_back_and_holds_no_readiness_there() {
    let (limiter, upstream) = (limiter(Quota::new().requests_per_second(1)), upstream());
    let service = service(&limiter, &upstream);
    send(&service, request()).await.unwrap().unwrap();
    let (first, kept) = unready(&limiter, &upstream, named("first"));
    let mut first = task::spawn(first);
    assert_pending!(first.poll());
    let others = ["second", "third"].map(|name| send(&service, named(name)));
    pass(1001).await;
    assert_pending!(first.poll()); // its turn
    pass(500).await;
    let mut another = kept.clone();
    drop(kept);
    assert!(first.is_woken());
    assert_pending!(is_ready(&mut another)); // it is to be the first one's
    assert_pending!(first.poll()); // which finds no room
    assert_ready_ok!(is_ready(&mut another));
    assert_pending!(first.poll()); // in vain: there is still no room, and so it asks for no readiness
    let mut third = another.clone();
    drop(another);
    assert_ready_ok!(is_ready(&mut third));
    drop(third);
    pass(502).await;
    assert!(first.is_woken());
    assert_ready_ok!(first.poll());
    for other in others {
        other.await.unwrap().unwrap();
    }
    let names = upstream.take_requests().into_iter().skip(1);
    let names: Vec<_> = names.map(|it| it.headers()["name"].clone()).collect();
    assert_eq!(names, ["second", "first", "third"]);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_not_ready_is_not_woken_in_vain_and_passes_its_slot_to_one_other() {
    let (limiter, upstream) = (limiter(Quota::new().requests_per_second(1)), upstream());
    send(&service(&limiter, &upstream), request())
        .await
        .unwrap()
        .unwrap();
    let (mut waiting, mut kept) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let (one, keep) = unready(&limiter, &upstream, request());
        waiting.push(task::spawn(one));
        kept.push(keep);
    }
    pass(1500).await; // there is room, and nobody has looked yet
    for one in &mut waiting {
        assert_pending!(one.poll());
    }
    let mut woken = Vec::new();
    for _ in 0..8 {
        woken.push(waiting.iter().filter(|one| one.is_woken()).count());
        pass(1).await;
    }
    assert_eq!(woken[0], 0);
    assert_eq!(woken[3], 1, "{woken:?}");
    assert!(!waiting[0].is_woken());
}

#[tokio::test(start_paused = true)]
async fn one_that_is_ready_does_not_wait_for_a_more_urgent_one_that_is_not() {
    let (limiter, upstream) = (limiter(Quota::new().requests_per_second(1)), upstream());
    let service = service(&limiter, &upstream);
    send(&service, request()).await.unwrap().unwrap();
    let (ready, kept) = unready(&limiter, &upstream, request());
    let ready = tokio::spawn(ready);
    pass(1100).await; // its turn has come
    send(&service, request()).await.unwrap().unwrap();
    let mut urgent = request();
    urgent.extensions_mut().insert(Priority(9));
    let (urgent, _kept) = unready(&limiter, &upstream, urgent);
    let urgent = tokio::spawn(urgent);
    pass(1001).await; // the urgent one's turn
    drop(kept);
    ready.await.unwrap().unwrap();
    assert_eq!(upstream.arrivals(), [0, 1100, 2101]);
    urgent.abort();
}

#[tokio::test(start_paused = true)]
async fn those_that_take_a_while_to_be_ready_are_all_sent() {
    let (limiter, upstream) = (limiter(Quota::new().requests_per_second(10)), upstream());
    let slow = Slow {
        inner: upstream.clone(),
        takes: ms(5),
        ready: None,
    };
    let service = RateLimitLayer::new(limiter).layer(slow);
    let tasks: Vec<_> = (0..50)
        .map(|_| tokio::spawn(service.clone().oneshot(request())))
        .collect();
    for task in tasks {
        timeout(ms(60_000), task).await.unwrap().unwrap().unwrap();
    }
    let last = *upstream.arrivals().last().unwrap();
    assert!((4900..=50 * 107).contains(&last), "{last}");
}

fn upstream() -> Upstream {
    Upstream::answering(|_| ok())
}

fn named(name: &'static str) -> Request<Body> {
    let mut request = request();
    request.headers_mut().insert("name", name.parse().unwrap());
    request
}

/// A service each clone of which takes a while to be ready.
struct Slow {
    inner: Upstream,
    takes: Duration,
    ready: Option<Pin<Box<Sleep>>>,
}

impl Clone for Slow {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            takes: self.takes,
            ready: None,
        }
    }
}

impl Service<Request<Body>> for Slow {
    type Response = Response<Body>;
    type Error = UpstreamError;
    type Future = <Upstream as Service<Request<Body>>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), UpstreamError>> {
        let takes = self.takes;
        let ready = self.ready.get_or_insert_with(|| Box::pin(sleep(takes)));
        ready!(ready.as_mut().poll(cx));
        Service::<Request<Body>>::poll_ready(&mut self.inner, cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.ready = None;
        self.inner.call(request)
    }
}
