//! What a server allows its own callers.

use std::num::NonZeroU32;

use http::{Request, StatusCode};
use rate_limit_layer::inbound::{InboundLayer, Rate, RequestCost};
use test_support::{Upstream, ok};
use throttle_signal::Classified;
use tower::{Layer, Service, ServiceExt};

use crate::support::{Body, ms, pass};

type Key = fn(&Request<Body>) -> Option<String>;

fn by_header(request: &Request<Body>) -> Option<String> {
    Some(request.headers().get("key")?.to_str().ok()?.to_owned())
}

fn layer(rate: Rate) -> InboundLayer<String, Key> {
    InboundLayer::new(rate, by_header)
}

fn of(key: &str) -> Request<Body> {
    let mut request = Request::new(Body::default());
    request.headers_mut().insert("key", key.parse().unwrap());
    request
}

#[tokio::test(start_paused = true)]
async fn each_key_has_its_own_rate() {
    let service = layer(Rate::per_second(2)).layer(Upstream::answering(|_| ok()));
    for (key, status) in [("a", 200), ("a", 200), ("a", 429), ("b", 200)] {
        assert_eq!(
            service.clone().oneshot(of(key)).await.unwrap().status(),
            status
        );
    }
    pass(500).await;
    for (key, status) in [("a", 200), ("a", 429)] {
        assert_eq!(
            service.clone().oneshot(of(key)).await.unwrap().status(),
            status
        );
    }
}

#[tokio::test(start_paused = true)]
async fn callers_are_told_what_is_left_and_when_to_come_back() {
    let service = layer(Rate::new(2, ms(3_000))).layer(Upstream::answering(|_| ok()));
    let response = service.clone().oneshot(of("a")).await.unwrap();
    assert_eq!(response.headers()["ratelimit"], "\"default\";r=1;t=2");
    assert_eq!(
        response.headers()["ratelimit-policy"],
        "\"default\";q=2;w=3"
    );
    service.clone().oneshot(of("a")).await.unwrap();
    let refused = service.clone().oneshot(of("a")).await.unwrap();
    assert_eq!(refused.headers()["ratelimit"], "\"default\";r=0;t=2");
    assert_eq!(refused.headers()["retry-after"], "2");
    assert_eq!(refused.headers()["retry-after-ms"], "1500");
    assert!(Classified::throttle(refused.extensions()).unwrap().retry());
    pass(1500).await;
    assert_eq!(
        service.oneshot(of("a")).await.unwrap().status(),
        StatusCode::OK
    );
}

#[tokio::test(start_paused = true)]
async fn one_without_a_key_is_not_limited() {
    let service = layer(Rate::per_second(1)).layer(Upstream::answering(|_| ok()));
    for _ in 0..9 {
        let response = service
            .clone()
            .oneshot(Request::new(Body::default()))
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert!(!response.headers().contains_key("ratelimit"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_can_cost_more() {
    let service = layer(Rate::per_second(10)).layer(Upstream::answering(|_| ok()));
    let costing = |cost: u32| {
        let mut request = of("a");
        request
            .extensions_mut()
            .insert(RequestCost(NonZeroU32::new(cost).unwrap()));
        request
    };
    assert_eq!(
        service.clone().oneshot(costing(8)).await.unwrap().status(),
        200
    );
    assert_eq!(
        service.clone().oneshot(costing(3)).await.unwrap().status(),
        429
    );
    assert_eq!(
        service.clone().oneshot(costing(2)).await.unwrap().status(),
        200
    );
    let never = service.oneshot(costing(11)).await.unwrap();
    assert!(!Classified::throttle(never.extensions()).unwrap().retry());
    // What is left was not looked at, and is not made up.
    assert!(!never.headers().contains_key("ratelimit"));
    assert!(never.headers().contains_key("ratelimit-policy"));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_had_come_all_the_same() {
    let service = layer(Rate::per_second(1)).layer(Upstream::answering(|_| ok()));
    let mut ready = service.clone();
    drop(ready.ready().await.unwrap().call(of("a")));
    assert_eq!(service.oneshot(of("a")).await.unwrap().status(), 429);
}

#[tokio::test(start_paused = true)]
async fn keys_of_yesterday_are_forgotten() {
    let layer = layer(Rate::per_second(1));
    let service = layer.layer(Upstream::answering(|_| ok()));
    for key in 0..1000 {
        service.clone().oneshot(of(&key.to_string())).await.unwrap();
    }
    assert_eq!(layer.key_count(), 1000);
    pass(5_000).await;
    service.oneshot(of("one")).await.unwrap();
    assert_eq!(layer.key_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn it_is_shared_by_all_that_a_layer_makes() {
    let layer = layer(Rate::per_second(1).burst(1));
    let (one, two) = (
        layer.layer(Upstream::answering(|_| ok())),
        layer.clone().layer(Upstream::silent()),
    );
    assert_eq!(one.oneshot(of("a")).await.unwrap().status(), 200);
    assert_eq!(two.oneshot(of("a")).await.unwrap().status(), 429);
}
