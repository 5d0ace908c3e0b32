//! Waiters that are not polled.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

use futures_util::FutureExt;
use rate_limit_layer::{Charging, Limiter, Quota};
use test_support::{Answer, Upstream, ok};
use throttle_signal::Priority;
use tokio::time::Instant;
use tokio_test::{assert_pending, task};
use tower::ServiceExt;

use crate::support::{ms, pass, request, send, service};

fn limiter() -> Limiter {
    Limiter::builder()
        .default_quota(Quota::new().requests_per_second(10))
        .guard(ms(0))
        .build()
}

#[tokio::test(start_paused = true)]
async fn one_that_is_not_polled_passes_its_slot_on() {
    let upstream = Upstream::answering(|_| ok());
    let service = service(&limiter(), &upstream);
    send(&service, request()).await.unwrap().unwrap();
    let mut stalled = task::spawn(service.clone().oneshot(request()));
    assert_pending!(stalled.poll());
    let began = Instant::now();
    send(&service, request()).await.unwrap().unwrap();
    assert!(began.elapsed() <= ms(103), "{:?}", began.elapsed());
    drop(stalled);
}

#[tokio::test(start_paused = true)]
async fn a_crowd_that_is_not_polled_delays_nobody_for_long() {
    let upstream = Upstream::answering(|_| ok());
    let service = service(&limiter(), &upstream);
    send(&service, request()).await.unwrap().unwrap();
    let mut crowd: Vec<_> = (0..500)
        .map(|_| task::spawn(service.clone().oneshot(request())))
        .collect();
    for stalled in &mut crowd {
        assert_pending!(stalled.poll());
    }
    let began = Instant::now();
    send(&service, request()).await.unwrap().unwrap();
    // The slot opens after 100 ms; what comes on top is the crowd's.
    assert!(began.elapsed() < ms(150), "{:?}", began.elapsed());
    for _ in 0..10 {
        let began = Instant::now();
        send(&service, request()).await.unwrap().unwrap();
        assert!(began.elapsed() <= ms(104), "{:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_comes_late_has_its_place_back() {
    let upstream = Upstream::answering(|_| ok());
    let service = service(&limiter(), &upstream);
    send(&service, request()).await.unwrap().unwrap();
    let mut stalled = Box::pin(service.clone().oneshot(request()));
    assert!((&mut stalled).now_or_never().is_none());
    let others: Vec<_> = (0..5).map(|_| send(&service, request())).collect();
    pass(250).await;
    stalled.await.unwrap();
    // Two of the others went while it was away, and the others of them come after it.
    assert_eq!(upstream.arrivals().len(), 4, "{:?}", upstream.arrivals());
    for other in others {
        other.await.unwrap().unwrap();
    }
}

/// Two slots open at once. While answers are on their way nothing else has anybody look at the queue.
#[tokio::test(start_paused = true)]
async fn whoever_takes_a_slot_leaves_the_next_to_another_at_once() {
    let quota = Quota::new().requests_per_second(2).allow_bursts();
    let limiter = Limiter::builder().default_quota(quota).guard(ms(0)).build();
    let upstream = Upstream::answering(|_| Answer::from(ok()).after(ms(300)));
    let service = service(&limiter, &upstream);
    let tasks: Vec<_> = (0..4).map(|_| send(&service, request())).collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(upstream.arrivals(), [0, 0, 1000, 1000]);
}

/// By then others have taken the room it was offered, and those behind it wait for longer than it does.
#[tokio::test(start_paused = true)]
async fn one_that_comes_late_is_woken_as_soon_as_it_has_room() {
    let quota = Quota::new().tokens_per_minute(1000).allow_bursts();
    let limiter = Limiter::builder()
        .default_quota(quota.charging(Charging::MaxUpFront))
        .guard(ms(0))
        .build();
    let upstream = Upstream::answering(|_| ok());
    let service = service(&limiter, &upstream);
    let of = |tokens: u64| {
        let body = format!(r#"{{"model":"m","max_tokens":{}}}"#, tokens - 8); // and eight of its own
        http::Request::new(crate::support::Body::from(body))
    };
    for (tokens, then) in [(50, 5_000), (100, 5_000), (800, 1_000)] {
        send(&service, of(tokens)).await.unwrap().unwrap();
        pass(then).await;
    }
    let mut late = task::spawn(service.clone().oneshot(of(100)));
    assert_pending!(late.poll());
    let large = send(&service, of(900)); // has room after 70 s
    pass(50_000).await;
    let mut urgent = of(100);
    urgent.extensions_mut().insert(Priority(9));
    send(&service, urgent).await.unwrap().unwrap();
    assert_eq!(upstream.arrivals(), [0, 5_000, 10_000, 61_000]);
    pass(1_000).await;
    assert!(late.is_woken());
    assert_pending!(late.poll());
    pass(3_002).await;
    assert!(late.is_woken()); // what was sent after 5 s counts no more
    late.await.unwrap();
    large.abort();
}

/// As a future does that is moved into another task or set of futures.
#[tokio::test(start_paused = true)]
async fn one_that_is_polled_elsewhere_wakes_who_polled_it_last() {
    let upstream = Upstream::answering(|_| ok());
    let service = service(&limiter(), &upstream);
    send(&service, request()).await.unwrap().unwrap();
    let mut waiting = Box::pin(service.oneshot(request()));
    assert!((&mut waiting).now_or_never().is_none());
    let mut moved = task::spawn(waiting);
    assert_pending!(moved.poll());
    pass(101).await;
    assert!(moved.is_woken());
    moved.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_slow_consumer_of_a_stream_delays_nobody_else() {
    use futures_util::StreamExt;

    let upstream = Upstream::answering(|_| ok());
    let service = service(&limiter(), &upstream);
    let consumer = service.clone();
    tokio::spawn(async move {
        let requests = (0..200).map(|_| consumer.clone().oneshot(request()));
        let mut answers = futures_util::stream::iter(requests).buffer_unordered(50);
        while answers.next().await.is_some() {
            pass(10_000).await; // and nothing in the buffer is polled meanwhile
        }
    });
    pass(50).await;
    let mut delay = ms(0);
    for _ in 0..50 {
        let began = Instant::now();
        send(&service, request()).await.unwrap().unwrap();
        // A tenth of a second is what the quota takes.
        delay = delay.max(began.elapsed().saturating_sub(ms(100)));
    }
    assert!(delay < ms(50), "{delay:?}");
    println!("a stalled reader of fifty delays an unrelated task by {delay:?} at most");
}

/// Keeps a future from being polled until it says so.
struct Lazy<F> {
    future: Pin<Box<F>>,
    from: Instant,
}

impl<F: Future> Future for Lazy<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<F::Output> {
        if Instant::now() < self.from {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.future.as_mut().poll(cx)
    }
}

#[tokio::test(start_paused = true)]
async fn one_never_polled_since_it_was_called_delays_nobody() {
    use tower::Service;

    let upstream = Upstream::answering(|_| ok());
    let mut service = service(&limiter(), &upstream);
    send(&service, request()).await.unwrap().unwrap();
    let ready = ServiceExt::<http::Request<crate::support::Body>>::ready(&mut service)
        .await
        .unwrap();
    let unpolled = ready.call(request());
    let began = Instant::now();
    send(&service, request()).await.unwrap().unwrap();
    assert!(began.elapsed() <= ms(103), "{:?}", began.elapsed());
    let lazy = Lazy {
        future: Box::pin(unpolled),
        from: began,
    };
    lazy.await.unwrap();
}
