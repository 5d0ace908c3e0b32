//! Which candidate a request is sent to.

use fallback_layer::{Candidate, FallbackLayer, Triggers};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::BodyExt;
use test_support::{Seen, Upstream, json, ok, throttled_for, with_status};
use throttle_signal::{Kind, Throttle};
use tokio::time;
use tower::{Layer, ServiceExt};

use crate::chain::{Refusal, SECOND, exhausted, layer, rate, send, trail, upstream};
use crate::{Body, model, models, refused, request};

#[tokio::test(start_paused = true)]
async fn the_first_candidate_answers_while_it_can() {
    let service = layer().layer(upstream(&[]));
    let response = send(&service).await;
    assert_eq!(models(service.get_ref()), "max");
    assert_eq!(response.headers()["x-fallback-candidate"], "max");
    assert_eq!(response.headers()["x-fallback-attempts"], "1");
    assert_eq!(trail(&response).candidate.unwrap().as_ref(), "max");
    assert_eq!(trail(&response).candidates_tried, 1);
    assert!(trail(&response).steps.is_empty());
}

#[tokio::test(start_paused = true)]
async fn goes_on_by_the_table_and_says_so() {
    let refusals: [(Refusal, &str); 5] = [
        (exhausted, "quota_exhausted"),
        (|| refused(Throttle::new(Kind::Overloaded)), "overloaded"),
        (|| refused(Throttle::new(Kind::Credential)), "auth"),
        (|| refused(rate(3)), "request_rate"),
        (|| refused(Throttle::new(Kind::Concurrency)), "concurrency"),
    ];
    for (refusal, reason) in refusals {
        let answer = move |seen: &Seen| {
            if model(seen) == "plus" {
                ok()
            } else {
                refusal()
            }
        };
        let service = layer().layer(Upstream::answering(answer));
        let response = send(&service).await;
        assert_eq!(response.status(), StatusCode::OK, "{reason}");
        assert_eq!(models(service.get_ref()), "max plus", "{reason}");
        assert_eq!(response.headers()["x-fallback-candidate"], "plus");
        assert_eq!(response.headers()["x-fallback-attempts"], "2");
        let trail = trail(&response);
        assert_eq!(trail.attempts, 2);
        assert_eq!(trail.candidates_tried, 2);
        assert_eq!(trail.model.unwrap().as_ref(), "plus");
        assert_eq!(trail.steps[0].reason, format!("left max: {reason}"));
    }
}

#[tokio::test(start_paused = true)]
async fn reads_refusals_itself_where_nobody_below_has() {
    let service = layer().layer(Upstream::new([throttled_for(30), ok()]));
    assert_eq!(send(&service).await.status(), StatusCode::OK);
    assert_eq!(models(service.get_ref()), "max plus");
}

#[tokio::test(start_paused = true)]
async fn triggers_can_be_switched_off() {
    let service = layer()
        .triggers(Triggers::new().server_error(false).exhausted(false))
        .layer(upstream(&[("max", || {
            with_status(StatusCode::BAD_GATEWAY)
        })]));
    assert_eq!(send(&service).await.status(), StatusCode::BAD_GATEWAY);
    let service = layer()
        .triggers(Triggers::none())
        .layer(upstream(&[("max", exhausted)]));
    assert_eq!(send(&service).await.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(models(service.get_ref()), "max");
}

#[tokio::test(start_paused = true)]
async fn a_request_too_long_goes_to_a_longer_context() {
    let too_long = || {
        json(
            400,
            &serde_json::json!({"error": {"code": "context_length_exceeded"}}),
        )
    };
    let answer = move |seen: &Seen| {
        if model(seen) == "long" {
            ok()
        } else {
            too_long()
        }
    };
    let layer = FallbackLayer::new([
        Candidate::model("max").context(30_000),
        Candidate::model("short").context(8_000),
        Candidate::model("same").context(30_000),
        Candidate::model("long").context(1_000_000),
    ]);
    let service = layer.layer(Upstream::answering(answer));
    for _ in 0..2 {
        assert_eq!(send(&service).await.status(), StatusCode::OK);
        assert_eq!(models(service.get_ref()), "max long"); // and it is nobody's fault
    }

    let service = self::layer().layer(Upstream::answering(move |_: &Seen| too_long()));
    let response = send(&service).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!(response.headers()["x-fallback-candidate"], "max");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, r#"{"error":{"code":"context_length_exceeded"}}"#);
}

#[tokio::test(start_paused = true)]
async fn a_candidate_can_be_another_service() {
    let one = Upstream::new([exhausted()]);
    let two = Upstream::new([ok()]);
    let service = FallbackLayer::new([Candidate::model("max")])
        .layer(one.clone())
        .or(Candidate::named("elsewhere"), two.clone());
    let response = service.oneshot(request()).await.unwrap();
    assert_eq!(response.headers()["x-fallback-candidate"], "elsewhere");
    assert_eq!((models(&one), models(&two)), ("max".into(), "max".into()));
}

#[tokio::test(start_paused = true)]
async fn candidates_are_for_the_requests_they_are_for() {
    let layer = FallbackLayer::new([
        Candidate::model("vision").when(|parts| parts.headers.contains_key("x-image")),
        Candidate::model("plus"),
    ]);
    let service = layer.layer(upstream(&[]));
    send(&service).await;
    let mut image = request();
    image
        .headers_mut()
        .insert("x-image", HeaderValue::from_static("1"));
    service.clone().oneshot(image).await.unwrap();
    assert_eq!(models(service.get_ref()), "plus vision");
}

#[tokio::test(start_paused = true)]
async fn shares_split_the_traffic_and_the_others_follow() {
    let layer = FallbackLayer::new([
        Candidate::model("max").share(1),
        Candidate::model("plus").share(1),
        Candidate::model("turbo"),
    ]);
    let service = layer.layer(upstream(&[("plus", || refused(rate(3)))]));
    for _ in 0..4 {
        send(&service).await;
        time::advance(60 * SECOND).await;
    }
    assert_eq!(models(service.get_ref()).matches("plus max").count(), 2);
}

#[test]
fn a_list_known_at_run_time_may_be_empty() {
    let error = FallbackLayer::try_new(Vec::new()).err().unwrap();
    assert_eq!(error.to_string(), "a chain needs at least one candidate");
    assert!(FallbackLayer::try_new(vec![Candidate::model("a")]).is_ok());
}

#[tokio::test(start_paused = true)]
async fn each_trigger_is_switched_by_itself() {
    type Switch = fn(Triggers, bool) -> Triggers;
    type Answers = fn() -> Response<Body>;
    let switches: [(Switch, Answers); 7] = [
        (Triggers::wait, || refused(rate(60))),
        (Triggers::exhausted, exhausted),
        (Triggers::overloaded, || {
            refused(Throttle::new(Kind::Overloaded))
        }),
        (Triggers::credential, || {
            refused(Throttle::new(Kind::Credential))
        }),
        (Triggers::server_error, || {
            with_status(StatusCode::BAD_GATEWAY)
        }),
        (Triggers::context_length, || {
            json(
                400,
                &serde_json::json!({"error": {"code": "context_length_exceeded"}}),
            )
        }),
        (Triggers::content_refused, || {
            json(400, &serde_json::json!({"code": "data_inspection_failed"}))
        }),
    ];
    for (at, (switch, _)) in switches.iter().enumerate() {
        for (on, all) in [
            (true, Triggers::none()),
            (false, Triggers::new().content_refused(true)),
        ] {
            let triggers = switch(all, on);
            for (other, &(_, answer)) in switches.iter().enumerate() {
                let service =
                    layer()
                        .triggers(triggers)
                        .layer(Upstream::answering(move |seen: &Seen| {
                            if model(seen) == "max" { answer() } else { ok() }
                        }));
                send(&service).await;
                let goes_on = (at == other) == on;
                let asked = if goes_on { "max plus" } else { "max" };
                assert_eq!(models(service.get_ref()), asked, "{at} {on} {other}");
            }
        }
    }
}
