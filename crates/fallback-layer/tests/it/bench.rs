//! Which candidates are known to be out, and for how long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fallback_layer::{Candidate, Fallback, FallbackLayer};
use http::{HeaderValue, Response, StatusCode};
use replay_body::PeekBody;
use test_support::{Answer, Seen, Upstream, ok, with_status};
use throttle_signal::{Envelope, Kind, Origin, RequestFacts, Throttle, Wait};
use tokio::time::{self, Instant};
use tokio_test::{assert_pending, assert_ready, task};
use tower::{Layer, ServiceExt};

use crate::chain::{SECOND, layer, rate, send, trail, upstream, verdict};
use crate::{Body, model, models, refused, request};

#[tokio::test(start_paused = true)]
async fn a_candidate_known_to_be_out_is_not_asked_until_its_time_is_over() {
    let service = layer().layer(upstream(&[("max", || refused(rate(60)))]));
    for _ in 0..3 {
        let response = send(&service).await;
        assert_eq!(response.headers()["x-fallback-candidate"], "plus");
    }
    assert_eq!(models(service.get_ref()), "max plus plus plus");
    let response = send(&service).await;
    assert_eq!(trail(&response).candidates_tried, 1);
    assert_eq!(trail(&response).steps[0].reason, "max is out");
    models(service.get_ref());

    // Two seconds before its time a patient request may wait for it again.
    time::advance(58 * SECOND).await;
    send(&service).await;
    assert_eq!(models(service.get_ref()), "max plus");
}

#[tokio::test(start_paused = true)]
async fn a_quota_used_up_for_hours_is_asked_once_and_the_next_candidate_answers() {
    let service = layer().layer(upstream(&[("max", || refused(rate(4 * 3600)))]));
    for _ in 0..240 {
        assert_eq!(send(&service).await.status(), StatusCode::OK);
        time::advance(SECOND * 59).await;
    }
    assert_eq!(models(service.get_ref()).matches("max").count(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_probe_when_the_time_is_over() {
    let upstream = Upstream::answering(|seen: &Seen| {
        if model(seen) == "max" {
            Answer::from(refused(Throttle::new(Kind::QuotaExhausted))).after(SECOND / 2)
        } else {
            Answer::from(ok())
        }
    });
    let service = layer().layer(upstream);
    send(&service).await;
    models(service.get_ref());
    time::advance(SECOND).await; // the first guess
    let (a, b, c) = tokio::join!(send(&service), send(&service), send(&service));
    for response in [a, b, c] {
        assert_eq!(response.status(), StatusCode::OK);
    }
    let asked = models(service.get_ref());
    assert_eq!(asked.matches("max").count(), 1, "{asked}");
}

#[tokio::test(start_paused = true)]
async fn when_all_are_known_to_be_out_the_answer_comes_without_a_request() {
    let service = layer().layer(upstream(&[
        ("max", || refused(rate(60))),
        ("plus", || refused(rate(30))),
        ("turbo", || refused(rate(90))),
    ]));
    send(&service).await;
    assert_eq!(models(service.get_ref()), "max plus turbo");
    time::advance(SECOND).await;
    let response = send(&service).await;
    assert_eq!(models(service.get_ref()), "");
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(verdict(&response).origin(), Origin::Chain);
    assert_eq!(verdict(&response).wait(), Wait::Stated(29 * SECOND));
    assert_eq!(verdict(&response).model().unwrap().as_ref(), "max");
    assert!(verdict(&response).retry());
    assert_eq!(response.headers()["retry-after"], "29");
    assert_eq!(response.headers()["x-fallback-attempts"], "0");
    assert_eq!(trail(&response).attempts, 0);
}

#[tokio::test(start_paused = true)]
async fn what_a_layer_of_ours_refused_is_asked_again() {
    let answer = |seen: &Seen| {
        if model(seen) == "max" {
            // As a limiter that a large request does not fit before its patience ends.
            Envelope::new().refuse(rate(30).with_origin(Origin::Limiter), seen.headers())
        } else {
            Response::new(PeekBody::new(Body::default()))
        }
    };
    let service = layer().layer(Upstream::answering(answer));
    for _ in 0..2 {
        service.clone().oneshot(request()).await.unwrap();
    }
    assert_eq!(models(service.get_ref()), "max plus max plus");
}

#[tokio::test(start_paused = true)]
async fn a_server_error_goes_on_and_benches_only_if_another_candidate_answers() {
    // Every candidate fails on this request: it is the request.
    let service = layer().layer(Upstream::answering(|_: &Seen| {
        with_status(StatusCode::INTERNAL_SERVER_ERROR)
    }));
    for _ in 0..2 {
        assert_eq!(
            send(&service).await.status(),
            StatusCode::INTERNAL_SERVER_ERROR
        );
        assert_eq!(models(service.get_ref()), "max plus turbo");
    }

    let service = layer().layer(upstream(&[("max", || {
        with_status(StatusCode::BAD_GATEWAY)
    })]));
    for _ in 0..2 {
        assert_eq!(send(&service).await.status(), StatusCode::OK);
    }
    assert_eq!(models(service.get_ref()), "max plus plus");
    time::advance(SECOND).await;
    send(&service).await;
    assert_eq!(models(service.get_ref()), "max plus");
}

#[tokio::test(start_paused = true)]
async fn a_bad_request_elsewhere_proves_nothing() {
    // The first chokes on a request that the others say is a bad one.
    let service = layer().layer(upstream(&[
        ("max", || with_status(StatusCode::INTERNAL_SERVER_ERROR)),
        ("plus", || with_status(StatusCode::BAD_REQUEST)),
    ]));
    for _ in 0..2 {
        assert_eq!(send(&service).await.status(), StatusCode::BAD_REQUEST);
        assert_eq!(models(service.get_ref()), "max plus");
    }
}

/// The first candidate is silent once it was found to be, and asked again after a second.
async fn silent() -> Fallback<Upstream> {
    let upstream = Upstream::answering(|seen: &Seen| {
        if model(seen) == "max" {
            Answer::never()
        } else {
            Answer::from(ok())
        }
    });
    let layer = FallbackLayer::new([
        Candidate::model("max").first_byte(10 * SECOND),
        Candidate::model("plus"),
    ]);
    let service = layer.layer(upstream);
    send(&service).await;
    send(&service).await;
    assert_eq!(models(service.get_ref()), "max plus plus");
    time::advance(SECOND).await;
    service
}

#[tokio::test(start_paused = true)]
async fn a_probe_of_one_that_was_silent_goes_alone_however_long_it_takes() {
    let service = silent().await;
    let start = Instant::now();
    let mut probe = task::spawn(service.clone().oneshot(request()));
    assert_pending!(probe.poll());
    for _ in 0..9 {
        time::advance(SECOND).await;
        send(&service).await;
    }
    assert_eq!(start.elapsed(), 9 * SECOND);
    time::advance(SECOND).await;
    assert_ready!(probe.poll()).unwrap();
    let asked = models(service.get_ref());
    assert_eq!(asked.matches("max").count(), 1, "{asked}");
    // It was silent again, and is left alone for twice as long.
    time::advance(SECOND).await;
    send(&service).await;
    assert_eq!(models(service.get_ref()), "plus");
    time::advance(SECOND).await;
    assert_pending!(task::spawn(service.clone().oneshot(request())).poll());
    assert_eq!(models(service.get_ref()), "max");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_probe_leaves_the_next_request_to_probe() {
    let service = silent().await;
    for _ in 0..3 {
        let mut probe = task::spawn(service.clone().oneshot(request()));
        assert_pending!(probe.poll());
        assert_eq!(models(service.get_ref()), "max");
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_fails_for_a_request_all_fail_on_is_over() {
    let bad = Arc::new(AtomicBool::new(false));
    let everyone = Arc::clone(&bad);
    let service = layer().layer(Upstream::answering(move |seen: &Seen| {
        if model(seen) == "max" || everyone.load(Ordering::Relaxed) {
            with_status(StatusCode::BAD_GATEWAY)
        } else {
            ok()
        }
    }));
    send(&service).await;
    time::advance(SECOND).await;
    models(service.get_ref());
    bad.store(true, Ordering::Relaxed);
    for _ in 0..2 {
        send(&service).await;
        assert_eq!(models(service.get_ref()), "max plus turbo");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_cannot_be_one_for_it_is_not_its_probe() {
    let service = silent().await;
    let mut encoded = request();
    encoded
        .headers_mut()
        .insert("content-encoding", HeaderValue::from_static("gzip"));
    encoded
        .extensions_mut()
        .insert(RequestFacts::new(Instant::now()));
    let mut encoded = task::spawn(service.clone().oneshot(encoded));
    assert!(encoded.poll().is_pending() || encoded.is_woken());
    models(service.get_ref());
    assert_pending!(task::spawn(service.clone().oneshot(request())).poll());
    assert_eq!(models(service.get_ref()), "max");
}
