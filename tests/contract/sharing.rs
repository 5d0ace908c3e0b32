//! What a layer hands out it hands out once, whoever asks first.

use std::sync::Arc;
use std::time::Duration;

use fallback_layer::{Candidate, FallbackLayer};
use http::header::AUTHORIZATION;
use key_rotation_layer::{KeyPool, KeyRotationLayer};
use rate_limit_layer::Quota;
use retry_429_layer::{Backoff, Retry429Layer, TokenBudget};
use test_support::{Answer, Seen, Upstream, ok, throttled, throttled_for};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};
use tower::{Layer, Service, ServiceExt};

use crate::laws::{Chat, SECOND, chat};

/// Sends from so many clones at once and waits for all answers.
async fn send<S>(service: &S, clones: usize)
where
    S: Service<Chat, Response: Send, Error: std::fmt::Debug + Send, Future: Send>
        + Clone
        + Send
        + 'static,
{
    let sent = (0..clones).map(|_| tokio::spawn(service.clone().oneshot(chat())));
    for sent in sent.collect::<Vec<_>>() {
        sent.await.unwrap().unwrap();
    }
}

/// Ten a second, spent by twice as many clones at once: never more, whoever is polled first.
#[tokio::test(start_paused = true)]
async fn clones_cannot_spend_a_quota_twice() {
    let upstream = Upstream::answering(|_| ok());
    let service = crate::pacing(Quota::new().requests_per_second(10)).layer(upstream.clone());
    send(&service, 20).await;
    let arrivals = upstream.arrivals();
    assert_eq!(arrivals.len(), 20);
    for window in arrivals.windows(11) {
        assert!(window[10] - window[0] > 1_000, "{arrivals:?}");
    }
    sleep(SECOND).await;
    assert_eq!(
        Handle::current().metrics().num_alive_tasks(),
        0,
        "whoever looked after the queue has left"
    );
}

/// One retry a second and two saved up, wanted by twenty clones at once, again and again.
#[tokio::test(start_paused = true)]
async fn clones_cannot_spend_a_budget_twice() {
    let upstream = Upstream::answering(|_| throttled());
    let eager = Backoff::new()
        .max_retries(1_000)
        .initial_delay(Duration::from_millis(1))
        .max_guess(Duration::from_millis(1))
        .max_elapsed(10 * SECOND);
    let start = Instant::now();
    let layer = Retry429Layer::with_policy(eager).budget(Arc::new(TokenBudget::new(0.0, 1.0)));
    send(&layer.layer(upstream.clone()), 20).await;
    let retries = upstream.arrivals().len() - 20;
    let earned = usize::try_from(start.elapsed().as_secs()).unwrap() + 2;
    assert!((5..=earned).contains(&retries), "{retries} of {earned}");
}

/// An account whose bench is over is asked by one, until that one is answered.
#[tokio::test(start_paused = true)]
async fn clones_cannot_probe_an_account_twice() {
    let mut refuse = true;
    let upstream = Upstream::answering(move |seen: &Seen| {
        let a = seen.headers()[AUTHORIZATION] == "Bearer sk-a1";
        if a && std::mem::take(&mut refuse) {
            return Answer::from(throttled_for(1));
        }
        Answer::from(ok()).after(SECOND / 2)
    });
    let pool = KeyPool::builder()
        .account("a", ["sk-a1"])
        .account("b", ["sk-b1"])
        .build()
        .unwrap();
    let service = KeyRotationLayer::new(pool).layer(upstream.clone());
    send(&service, 2).await;
    sleep(2 * SECOND).await;
    drop(upstream.take_requests());

    send(&service, 10).await;
    let requests = upstream.take_requests();
    let to_a = requests
        .iter()
        .filter(|seen| seen.headers()[AUTHORIZATION] == "Bearer sk-a1");
    assert_eq!((requests.len(), to_a.count()), (10, 1));
}

/// A candidate that was out is asked by one, until that one is answered.
#[tokio::test(start_paused = true)]
async fn clones_cannot_probe_a_candidate_twice() {
    let first = |seen: &Seen| {
        let body = seen.body().as_deref().unwrap_or_default();
        body.starts_with(br#"{"model":"qwen3-max""#)
    };
    let mut refuse = true;
    let upstream = Upstream::answering(move |seen: &Seen| {
        if first(seen) && std::mem::take(&mut refuse) {
            return Answer::from(throttled_for(30));
        }
        Answer::from(ok()).after(SECOND / 2)
    });
    let layer = FallbackLayer::new([Candidate::model("qwen3-max"), Candidate::model("qwen-plus")]);
    let service = layer.layer(upstream.clone());
    send(&service, 1).await;
    sleep(40 * SECOND).await;
    drop(upstream.take_requests());

    send(&service, 10).await;
    let requests = upstream.take_requests();
    let to_first = requests.iter().filter(|seen| first(seen)).count();
    assert_eq!((requests.len(), to_first), (10, 1));
}
