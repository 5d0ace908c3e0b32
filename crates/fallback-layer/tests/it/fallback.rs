//! Which candidate a request is sent to, and what comes back.

use std::time::Duration;

use fallback_layer::{Candidate, Fallback, FallbackLayer, Triggers};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use replay_body::{PeekBody, ReplayBody};
use test_support::{Answer, Seen, Steps, Upstream, json, ok, throttled_for, with_status};
use throttle_signal::{
    Classified, Deadline, Envelope, Kind, Origin, RequestFacts, Throttle, Trail, Wait,
};
use tokio::time::{self, Instant};
use tower::{Layer, ServiceExt};

use crate::{Body, model, models, refused, request};

const SECOND: Duration = Duration::from_secs(1);

fn layer() -> FallbackLayer {
    FallbackLayer::new([
        Candidate::model("max").patience(2 * SECOND),
        Candidate::model("plus").patience(2 * SECOND),
        Candidate::model("turbo"),
    ])
}

type Refusal = fn() -> Response<Body>;

/// Answers by model; what is not listed is answered well.
fn upstream(refusals: &'static [(&'static str, Refusal)]) -> Upstream {
    Upstream::answering(move |seen: &Seen| {
        let asked = model(seen);
        refusals
            .iter()
            .find(|(model, _)| *model == asked)
            .map_or_else(ok, |(_, refusal)| refusal())
    })
}

type Answered = Response<PeekBody<Body>>;

async fn send(service: &Fallback<Upstream>) -> Answered {
    service.clone().oneshot(request()).await.unwrap()
}

fn verdict(response: &Answered) -> Throttle {
    Classified::throttle(response.extensions()).unwrap().clone()
}

fn trail(response: &Answered) -> Trail {
    response.extensions().get::<Trail>().unwrap().clone()
}

fn rate(seconds: u32) -> Throttle {
    Throttle::new(Kind::RequestRate).with_wait(Wait::Stated(seconds * SECOND))
}

fn exhausted() -> Response<Body> {
    refused(Throttle::new(Kind::QuotaExhausted))
}

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
        Trail::of(response.extensions_mut()).step("retry-429", "it would pass the deadline");
        response
    };
    let service = layer().layer(Upstream::answering(answer));
    send(&service).await;
    assert_eq!(models(service.get_ref()), "max plus");
}

#[tokio::test(start_paused = true)]
async fn reads_refusals_itself_where_nobody_below_has() {
    let service = layer().layer(Upstream::new([throttled_for(30), ok()]));
    assert_eq!(send(&service).await.status(), StatusCode::OK);
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
async fn when_all_fail_the_first_refusal_comes_back_with_the_earliest_time() {
    let service = layer().layer(upstream(&[
        ("max", || {
            let mut response = refused(rate(60));
            response.headers_mut().insert("retry-after", 60.into());
            response
                .headers_mut()
                .insert("x-request-id", HeaderValue::from_static("first"));
            response
        }),
        ("plus", || {
            refused(
                Throttle::new(Kind::TokenRate)
                    .with_wait(Wait::Typical(Duration::from_millis(20500))),
            )
        }),
        ("turbo", exhausted),
    ]));
    let response = send(&service).await;
    assert_eq!(models(service.get_ref()), "max plus turbo");
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()["x-request-id"], "first");
    assert_eq!(response.headers()["retry-after"], "21");
    assert_eq!(response.headers()["retry-after-ms"], "20500");
    assert_eq!(response.headers()["x-fallback-candidate"], "max");
    assert_eq!(response.headers()["x-fallback-attempts"], "3");
    let throttle = verdict(&response);
    assert_eq!(throttle.kind(), Kind::RequestRate);
    assert!(throttle.retry());
    assert_eq!(throttle.wait(), Wait::Stated(Duration::from_millis(20500)));
    assert_eq!(trail(&response).attempts, 3);
    assert_eq!(trail(&response).steps.len(), 3);
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        "refused: request_rate"
    );
}

#[tokio::test(start_paused = true)]
async fn the_last_candidates_own_trouble_does_not_hide_the_first() {
    let service = layer().layer(upstream(&[
        ("max", exhausted),
        ("plus", exhausted),
        ("turbo", || refused(rate(1))),
    ]));
    let response = send(&service).await;
    assert_eq!(verdict(&response).kind(), Kind::QuotaExhausted);
    assert!(verdict(&response).retry()); // the last is free in a second
    assert_eq!(verdict(&response).wait(), Wait::Stated(SECOND));
}

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
async fn a_bad_request_comes_back_whole() {
    let service = layer().layer(Upstream::new([json(
        400,
        &serde_json::json!({"error": "messages is empty"}),
    )]));
    let response = send(&service).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        r#"{"error":"messages is empty"}"#
    );
}

#[tokio::test(start_paused = true)]
async fn a_refusal_whose_body_never_ends_does_not_hang() {
    let body = Steps::new().data("{").never();
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::BAD_REQUEST;
    let service = layer().layer(Upstream::new([response]));
    let response = time::timeout(5 * SECOND, service.oneshot(request()))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test(start_paused = true)]
async fn a_connection_error_goes_on_if_asked_to() {
    let script = || Upstream::new([Answer::error("refused"), Answer::from(ok())]);
    let service = layer().layer(script());
    assert_eq!(service.oneshot(request()).await.unwrap_err().0, "refused");

    let layer = layer().on_error(|error: &test_support::UpstreamError| error.0 == "refused");
    let service = layer.layer(script());
    let response = service.clone().oneshot(request()).await.unwrap();
    assert_eq!(response.headers()["x-fallback-candidate"], "plus");
    assert_eq!(models(service.get_ref()), "max plus");

    let other = layer.layer(Upstream::new([Answer::<Body>::error("reset")]));
    assert_eq!(other.oneshot(request()).await.unwrap_err().0, "reset");
}

#[tokio::test(start_paused = true)]
async fn an_error_everywhere_comes_back_unless_there_was_a_refusal() {
    let layer = layer().on_error(|_: &test_support::UpstreamError| true);
    let service = layer.layer(Upstream::new([
        Answer::<Body>::error("1"),
        Answer::error("2"),
        Answer::error("3"),
    ]));
    assert_eq!(service.oneshot(request()).await.unwrap_err().0, "3");

    let script = [
        Answer::from(exhausted()),
        Answer::error("2"),
        Answer::error("3"),
    ];
    let service = FallbackLayer::new([
        Candidate::model("a"),
        Candidate::model("b"),
        Candidate::model("c"),
    ])
    .on_error(|_: &test_support::UpstreamError| true)
    .layer(Upstream::new(script));
    assert_eq!(
        service.oneshot(request()).await.unwrap().status(),
        StatusCode::TOO_MANY_REQUESTS
    );
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
async fn every_byte_but_the_model_arrives_as_it_was() {
    let body = "{ \"seed\": 12345678901234567890, \"messages\":[{\"model\":\"max\"}],\t\"model\" : \"max\" }";
    let service = layer().layer(upstream(&[("max", exhausted)]));
    let mut request = request();
    *request.body_mut() = Full::from(body);
    request
        .headers_mut()
        .insert("content-length", body.len().into());
    service.clone().oneshot(request).await.unwrap();
    let arrived = service.get_ref().take_requests();
    assert_eq!(arrived[0].body().as_ref().unwrap(), body);
    let expected = body
        .replace(": \"max\" }", ": \"plus\" }")
        .replace("\"model\" : \"max\"", "\"model\" : \"plus\"");
    assert_eq!(arrived[1].body().as_ref().unwrap(), &expected);
    assert_eq!(
        arrived[1].headers()["content-length"],
        expected.len().to_string()
    );
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_rewritten_goes_as_it_came_and_its_refusal_comes_back() {
    let encoded = |mut request: Request<Body>| {
        request
            .headers_mut()
            .insert("content-encoding", HeaderValue::from_static("gzip"));
        request
    };
    let layer = FallbackLayer::new([Candidate::model("plus"), Candidate::model("turbo")]);
    let service = layer.layer(Upstream::new([exhausted()]));
    let response = service.clone().oneshot(encoded(request())).await.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(models(service.get_ref()), "max"); // untouched
    assert!(!response.headers().contains_key("x-fallback-candidate"));

    let service = layer.layer(Upstream::new([exhausted()]));
    let streaming = request().map(|_| ReplayBody::tee(Steps::new().data("{}"), 1 << 20));
    let response = service.oneshot(streaming).await.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test(start_paused = true)]
async fn another_endpoint_is_asked_without_the_first_ones_secrets() {
    let layer = FallbackLayer::new([
        Candidate::model("max"),
        Candidate::model("gpt")
            .base_url(Uri::from_static("https://two.example/openai/v1"))
            .header(
                HeaderName::from_static("x-tier"),
                HeaderValue::from_static("gold"),
            ),
    ])
    .base_path("/v1");
    let service = layer.layer(Upstream::new([exhausted(), ok()]));
    let mut request = request();
    request
        .headers_mut()
        .insert("authorization", HeaderValue::from_static("Bearer one"));
    service.clone().oneshot(request).await.unwrap();
    let arrived = service.get_ref().take_requests();
    assert_eq!(arrived[0].headers()["authorization"], "Bearer one");
    assert_eq!(
        arrived[1].uri(),
        "https://two.example/openai/v1/chat/completions"
    );
    assert_eq!(arrived[1].headers()["x-tier"], "gold");
    assert!(!arrived[1].headers().contains_key("authorization"));
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
async fn a_chain_of_one_hands_everything_back() {
    let service =
        FallbackLayer::new([Candidate::model("max")]).layer(upstream(&[("max", exhausted)]));
    let response = send(&service).await;
    assert_eq!(verdict(&response).kind(), Kind::QuotaExhausted);
    assert_eq!(trail(&response).attempts, 1);
}
