//! One owner of retries.

use retry_429_layer::Retry429Layer;
use test_support::{Upstream, throttled, throttled_for};
use tower::{Layer, ServiceExt};

use crate::{POLICY, layer, request};

#[tokio::test(start_paused = true)]
async fn retries_that_a_client_above_made_count() {
    let upstream = Upstream::new([throttled_for(1), throttled_for(1)]);
    let mut request = request();
    request
        .headers_mut()
        .insert("x-stainless-retry-count", 2.into());
    layer()
        .layer(upstream.clone())
        .oneshot(request)
        .await
        .unwrap();
    // Of three retries two were made; and who was refused thrice waits longer than told.
    assert_eq!(upstream.arrivals(), [0, 2_000]);
}

#[tokio::test(start_paused = true)]
async fn the_sole_owner_tells_clients_above_not_to_retry_and_when_they_may() {
    let mut refused = throttled();
    refused
        .headers_mut()
        .insert("retry-after-ms", 61_250.into());
    let layer = Retry429Layer::with_policy(POLICY).sole_owner(true);
    let response = layer
        .layer(Upstream::new([refused]))
        .oneshot(request())
        .await
        .unwrap();
    assert_eq!(response.headers()["x-should-retry"], "false");
    assert_eq!(response.headers()["retry-after-ms"], "61250");
    assert_eq!(response.headers()["retry-after"], "62");
}

#[tokio::test(start_paused = true)]
async fn others_headers_are_left_alone() {
    let response = layer()
        .layer(Upstream::new([throttled_for(61)]))
        .oneshot(request())
        .await
        .unwrap();
    assert!(!response.headers().contains_key("x-should-retry"));
    assert!(!response.headers().contains_key("retry-after-ms"));
}
