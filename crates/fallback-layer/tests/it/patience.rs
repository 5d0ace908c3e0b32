//! How long a candidate is waited for before the next is asked.

use fallback_layer::{Candidate, FallbackLayer};
use http::StatusCode;
use http_body_util::BodyExt;
use test_support::{Answer, Seen, Upstream, ok};
use throttle_signal::{Deadline, Kind, RequestFacts, Trail, Wait};
use tokio::time::{Duration, Instant};
use tower::{Layer, ServiceExt};

use crate::chain::{SECOND, exhausted, layer, rate, send, trail, upstream, verdict};
use crate::{model, models, refused, request};

#[tokio::test(start_paused = true)]
async fn a_wait_within_the_patience_comes_back_rather_than_the_next_candidate() {
    let service = layer().layer(upstream(&[("max", || refused(rate(2)))]));
    let response = send(&service).await;
    assert_eq!(models(service.get_ref()), "max");
    assert_eq!(verdict(&response).wait(), Wait::Stated(2 * SECOND));
    assert!(verdict(&response).retry());
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        "refused: request_rate"
    );
    send(&service).await;
    assert_eq!(models(service.get_ref()), "max"); // and it is not thought to be out
}

/// A clock that runs has moved on by the time a limiter looks at it.
#[tokio::test(start_paused = true)]
async fn a_candidate_without_patience_is_asked_where_it_has_room() {
    let answer = |seen: &Seen| {
        let facts = RequestFacts::get(seen.extensions()).unwrap();
        let left = facts.start_by().map(|at| at - Instant::now());
        assert_eq!(left, Some(Duration::from_millis(10)));
        ok()
    };
    let layer = FallbackLayer::new([
        Candidate::model("qwen3-max").patience(Duration::ZERO),
        Candidate::model("qwen-plus"),
    ]);
    let service = layer.layer(Upstream::answering(answer));
    service.clone().oneshot(request()).await.unwrap();
    assert_eq!(models(service.get_ref()), "qwen3-max");
}

#[tokio::test(start_paused = true)]
async fn a_short_wait_the_layers_below_gave_up_on_goes_on() {
    let answer = |seen: &Seen| {
        let mut response = if model(seen) == "max" {
            refused(rate(1))
        } else {
            ok()
        };
        response.extensions_mut().insert(Trail {
            attempts: 4,
            ..Trail::default()
        });
        response
    };
    let service = layer().layer(Upstream::answering(answer));
    let response = send(&service).await;
    assert_eq!(models(service.get_ref()), "max plus");
    assert_eq!(trail(&response).attempts, 8);
}

#[tokio::test(start_paused = true)]
async fn a_short_wait_the_retry_layer_did_not_wait_for_goes_on() {
    let answer = |seen: &Seen| {
        let mut response = if model(seen) == "max" {
            refused(rate(1))
        } else {
            ok()
        };
        Trail::of(response.extensions_mut()).given_up = true;
        response
    };
    let service = layer().layer(Upstream::answering(answer));
    send(&service).await;
    assert_eq!(models(service.get_ref()), "max plus");
}

#[tokio::test(start_paused = true)]
async fn patience_is_given_to_all_but_the_last() {
    let service = FallbackLayer::new([
        Candidate::model("max").patience(2 * SECOND),
        Candidate::model("plus").patience(5 * SECOND),
        Candidate::model("turbo"),
    ]);
    let upstream = Upstream::answering(|seen: &Seen| {
        let facts = RequestFacts::get(seen.extensions()).unwrap();
        assert_eq!(facts.model().unwrap().as_ref(), model(seen));
        let start_by = facts.start_by().map(|at| at - Instant::now());
        match model(seen).as_str() {
            "max" => assert_eq!(start_by, Some(2 * SECOND)),
            "plus" => assert_eq!(start_by, Some(5 * SECOND)),
            _ => assert_eq!(start_by, None),
        }
        if model(seen) == "turbo" {
            ok()
        } else {
            exhausted()
        }
    });
    let response = service.layer(upstream).oneshot(request()).await.unwrap();
    assert_eq!(response.headers()["x-fallback-candidate"], "turbo");
}

#[tokio::test(start_paused = true)]
async fn patience_never_cuts_a_long_answer() {
    let upstream = Upstream::new([Answer::from(ok()).after(30 * SECOND)]);
    let service = layer().layer(upstream);
    let start = Instant::now();
    assert_eq!(send(&service).await.status(), StatusCode::OK);
    assert_eq!(start.elapsed(), 30 * SECOND);
    assert_eq!(models(service.get_ref()), "max");
}

#[tokio::test(start_paused = true)]
async fn a_slow_first_byte_goes_on_and_the_last_candidate_is_waited_for() {
    let layer = FallbackLayer::new([
        Candidate::model("max").first_byte(3 * SECOND),
        Candidate::model("plus").first_byte(3 * SECOND),
    ]);
    let upstream = Upstream::new([Answer::never(), Answer::from(ok()).after(20 * SECOND)]);
    let service = layer.layer(upstream);
    let start = Instant::now();
    let response = send(&service).await;
    assert_eq!(response.headers()["x-fallback-candidate"], "plus");
    assert_eq!(start.elapsed(), 23 * SECOND);
    assert_eq!(
        trail(&response).steps[0].reason,
        "left max: first_byte_timeout"
    );
    assert_eq!(service.get_ref().in_flight(), 0); // the one left is dropped
}

#[tokio::test(start_paused = true)]
async fn nothing_new_is_tried_after_the_deadline() {
    let upstream = Upstream::new([Answer::from(exhausted()).after(3 * SECOND)]);
    let service = layer().layer(upstream);
    let mut request = request();
    request
        .extensions_mut()
        .insert(Deadline(Instant::now() + 2 * SECOND));
    let response = service.clone().oneshot(request).await.unwrap();
    assert_eq!(verdict(&response).kind(), Kind::QuotaExhausted);
    assert_eq!(models(service.get_ref()), "max");
}

#[tokio::test(start_paused = true)]
async fn without_patience_left_the_shortest_wait_goes_on() {
    let answer = |seen: &Seen| match model(seen).as_str() {
        // As a limiter whose service below made no room until the patience was over.
        "max" => Answer::from(refused(rate(0))).after(2 * SECOND),
        _ => Answer::from(ok()),
    };
    let service = layer().layer(Upstream::answering(answer));
    send(&service).await;
    assert_eq!(models(service.get_ref()), "max plus");
}
