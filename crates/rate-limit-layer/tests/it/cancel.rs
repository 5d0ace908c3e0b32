//! Futures that are dropped.

use rate_limit_layer::{Limiter, Quota};
use test_support::{Answer, Upstream, ok};
use tokio_test::{assert_pending, task};
use tower::ServiceExt;

use crate::support::{chat, ms, pass, request, send, service};

fn limiter() -> Limiter {
    Limiter::builder()
        .default_quota(
            Quota::new()
                .requests_per_second(1)
                .tokens_per_minute(10_000),
        )
        .guard(ms(0))
        .build()
}

#[tokio::test(start_paused = true)]
async fn one_dropped_while_it_waits_gives_its_place_up() {
    let upstream = Upstream::answering(|_| ok());
    let service = service(&limiter(), &upstream);
    send(&service, request()).await.unwrap().unwrap();
    let dropped: Vec<_> = (0..10).map(|_| send(&service, request())).collect();
    pass(1).await;
    let last = send(&service, request());
    pass(1).await;
    for task in dropped {
        task.abort();
    }
    last.await.unwrap().unwrap();
    assert_eq!(upstream.arrivals(), [0, 1000]);
}

#[tokio::test(start_paused = true)]
async fn one_dropped_when_it_was_offered_its_slot_passes_it_on() {
    let upstream = Upstream::answering(|_| ok());
    let service = service(&limiter(), &upstream);
    send(&service, request()).await.unwrap().unwrap();
    let mut offered = task::spawn(service.clone().oneshot(request()));
    assert_pending!(offered.poll());
    let next = send(&service, request());
    pass(1001).await;
    assert!(offered.is_woken());
    drop(offered);
    next.await.unwrap().unwrap();
    assert!(upstream.arrivals()[1] <= 1001, "{:?}", upstream.arrivals());
}

#[tokio::test(start_paused = true)]
async fn one_dropped_before_it_is_sent_gives_everything_back() {
    let limiter = limiter();
    let client = tower::ServiceBuilder::new()
        .layer(rate_limit_layer::RateLimitLayer::new(limiter.clone()))
        .concurrency_limit(1)
        .service(Upstream::answering(|_| {
            Answer::from(ok()).after(ms(60_000))
        }));
    let first = tokio::spawn(client.clone().oneshot(chat("m", 100)));
    pass(1).await;
    let used = limiter.snapshot()[0].limits[1].used;
    // Admitted after a second, this one then waits for the concurrency limit.
    let mut second = task::spawn(client.clone().oneshot(chat("m", 100)));
    assert_pending!(second.poll());
    pass(1100).await;
    assert_pending!(second.poll());
    drop(second);
    assert_eq!(limiter.snapshot()[0].limits[1].used, used);
    first.abort();
}

#[tokio::test(start_paused = true)]
async fn one_dropped_after_it_was_sent_keeps_its_estimate() {
    let limiter = limiter();
    let upstream = Upstream::answering(|_| Answer::<crate::support::Body>::never());
    let service = service(&limiter, &upstream);
    let mut sent = task::spawn(service.clone().oneshot(chat("m", 100)));
    assert_pending!(sent.poll());
    drop(sent);
    let snapshot = &limiter.snapshot()[0];
    assert_eq!(
        (
            snapshot.limits[0].used,
            snapshot.limits[1].used,
            snapshot.in_flight
        ),
        (1, 700, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn many_dropped_leave_nothing_behind() {
    let limiter = limiter();
    let upstream = Upstream::answering(|_| ok());
    let service = service(&limiter, &upstream);
    send(&service, request()).await.unwrap().unwrap();
    for round in 0..100 {
        let mut waiting: Vec<_> = (0..100)
            .map(|_| task::spawn(service.clone().oneshot(request())))
            .collect();
        for waiter in &mut waiting {
            assert_pending!(waiter.poll());
        }
        if round % 2 == 0 {
            waiting.reverse();
        }
    }
    let snapshot = &limiter.snapshot()[0];
    assert_eq!(
        (
            snapshot.waiting,
            snapshot.in_flight,
            snapshot.limits[0].used
        ),
        (0, 0, 1)
    );
    pass(1).await;
    assert_eq!(
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks(),
        0
    );
}
