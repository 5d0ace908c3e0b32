//! Those that were told to wait come back one after another.

use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use http::header::RETRY_AFTER;
use http::{HeaderValue, Request, Response, StatusCode};
use retry_429_layer::Retry429Layer;
use test_support::{Upstream, ok, throttled_for};
use throttle_signal::Deadline;
use tokio::time::{self, Instant};
use tokio_test::{assert_pending, assert_ready_ok, task};
use tower::{Layer, ServiceExt};

use crate::{Body, layer, request, secs};

/// Refuses the first `count` requests for 7 s, and notes who came back in which order.
fn refusing(count: usize) -> (Upstream, Arc<Mutex<Vec<String>>>) {
    let order = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&order);
    let mut seen = 0;
    let upstream = Upstream::answering(move |request| {
        seen += 1;
        if seen <= count {
            return throttled_for(7);
        }
        let name = request.headers()["x-name"].to_str().unwrap().to_owned();
        noted.lock().unwrap().push(name);
        ok()
    });
    (upstream, order)
}

fn named(name: usize) -> Request<Body> {
    let mut request = request();
    request.headers_mut().insert("x-name", name.into());
    request
}

#[tokio::test(start_paused = true)]
async fn a_herd_comes_back_spread_and_the_oldest_first() {
    let (upstream, order) = refusing(50);
    let client = layer().layer(upstream.clone());
    // They arrive a millisecond apart, and are polled in the reverse order.
    let mut calls = Vec::new();
    for name in 0..50 {
        let mut call = Box::pin(client.clone().oneshot(named(name)));
        assert_pending!(task::spawn(&mut call).poll()); // the first poll sends it
        calls.push(call);
        time::advance(std::time::Duration::from_millis(1)).await;
    }
    calls.reverse();
    join_all(calls).await;

    let arrivals = upstream.arrivals();
    let back = &arrivals[50..];
    assert!(back.windows(2).all(|pair| pair[1] > pair[0]), "{back:?}");
    assert!(back[0] >= 7_000, "{back:?}");
    assert!(
        back[49] - back[0] >= 2_000 && back[49] <= 16_000,
        "{back:?}"
    );
    let order = order.lock().unwrap();
    let expected: Vec<_> = (0..50).map(|name| name.to_string()).collect();
    assert_eq!(*order, expected);
}

#[tokio::test(start_paused = true)]
async fn one_alone_comes_back_exactly_when_told() {
    let (upstream, _) = refusing(1);
    layer()
        .layer(upstream.clone())
        .oneshot(named(0))
        .await
        .unwrap();
    assert_eq!(upstream.arrivals(), [0, 7_000]);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_is_not_polled_delays_nobody() {
    let (upstream, order) = refusing(2);
    let client = layer().layer(upstream.clone());
    let mut asleep = task::spawn(client.clone().oneshot(named(1)));
    assert_pending!(asleep.poll());
    time::advance(std::time::Duration::from_millis(1)).await;

    client.oneshot(named(2)).await.unwrap();
    let arrivals = upstream.arrivals();
    assert!(arrivals[2] <= 7_015, "{arrivals:?}");
    assert_eq!(*order.lock().unwrap(), ["2"]);
    time::advance(secs(1)).await;
    assert_ready_ok!(asleep.poll());
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_is_dropped_delays_nobody() {
    let (upstream, _) = refusing(2);
    let client = layer().layer(upstream.clone());
    let mut dropped = task::spawn(client.clone().oneshot(named(1)));
    assert_pending!(dropped.poll());
    let mut stays = task::spawn(client.oneshot(named(2)));
    assert_pending!(stays.poll());
    drop(dropped);
    stays.await.unwrap();
    assert_eq!(upstream.arrivals(), [0, 0, 7_000]);
}

#[tokio::test(start_paused = true)]
async fn partitions_do_not_wait_for_each_other() {
    let (upstream, _) = refusing(40);
    let client = layer().layer(upstream.clone());
    let calls = (0..40).map(|name| {
        let mut request = named(name);
        *request.uri_mut() = format!("https://h{name}.example/").parse().unwrap();
        client.clone().oneshot(request)
    });
    join_all(calls).await;
    assert!(upstream.arrivals()[40..].iter().all(|at| *at == 7_000));
}

#[tokio::test(start_paused = true)]
async fn waiting_for_ones_turn_does_not_pass_the_deadline() {
    let (upstream, _) = refusing(50);
    let client = layer().layer(upstream.clone());
    let at = Instant::now() + secs(7) + std::time::Duration::from_millis(500);
    let calls = (0..50).map(|name| {
        let mut request = named(name);
        request.extensions_mut().insert(Deadline(at));
        client.clone().oneshot(request)
    });
    join_all(calls).await;
    assert!(upstream.arrivals()[50..].iter().all(|at| *at <= 7_501));
}

#[tokio::test(start_paused = true)]
async fn the_default_layer_drains_a_queue_behind_a_limit() {
    // Ten a second; the rest is told to wait a second.
    let mut window: Vec<Instant> = Vec::new();
    let upstream = Upstream::answering(move |_| {
        let now = Instant::now();
        window.retain(|at| now.duration_since(*at) < secs(1));
        if window.len() < 10 {
            window.push(now);
            return ok();
        }
        let mut refused: Response<Body> = Response::default();
        *refused.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        refused
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from_static("1"));
        refused
    });
    let client = Retry429Layer::new().layer(upstream.clone());
    let start = Instant::now();
    let answers = join_all((0..100).map(|name| client.clone().oneshot(named(name)))).await;
    assert!(
        answers
            .iter()
            .all(|answer| answer.as_ref().unwrap().status() == StatusCode::OK)
    );
    // 9 s would be ideal.
    assert!(start.elapsed() < secs(25), "{:?}", start.elapsed());
    assert!(
        upstream.arrivals().len() < 400,
        "{}",
        upstream.arrivals().len()
    );
}
