//! What is retried, and when. The clock is paused: timelines are exact and no test sleeps.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Full};
use replay_body::{Replay, ReplayLayer};
use retry_429_layer::{Attempt, Backoff, Decision, Policy, Retry429Layer, WithErrors};
use test_support::{
    Answer, Steps, Upstream, UpstreamError, json, ok, throttled, throttled_for, with_status,
};
use throttle_signal::{
    Classified, Deadline, Kind, Profile, Reader, RequestFacts, StartBy, Throttle, Wait,
};
use tokio::time::Instant;
use tower::{Layer, ServiceBuilder, ServiceExt};

use crate::{POLICY, layer, request, secs};

#[tokio::test(start_paused = true)]
async fn passes_a_success_through() {
    let upstream = Upstream::new([ok()]);
    let response = layer()
        .layer(upstream.clone())
        .oneshot(request())
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(upstream.arrivals(), [0]);
}

#[tokio::test(start_paused = true)]
async fn passes_other_failures_through() {
    for status in [
        StatusCode::UNAUTHORIZED,
        StatusCode::BAD_GATEWAY,
        StatusCode::NOT_FOUND,
    ] {
        let upstream = Upstream::new([with_status(status)]);
        let response = layer()
            .layer(upstream.clone())
            .oneshot(request())
            .await
            .unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(upstream.arrivals(), [0]);
    }
}

#[tokio::test(start_paused = true)]
async fn waits_as_long_as_the_server_asks() {
    let upstream = Upstream::new([throttled_for(7), throttled_for(2), ok()]);
    let response = layer()
        .layer(upstream.clone())
        .oneshot(request())
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(upstream.arrivals(), [0, 7_000, 9_000]);
}

#[tokio::test(start_paused = true)]
async fn jitter_lengthens_a_stated_wait_and_never_shortens_it() {
    let layer = Retry429Layer::with_policy(Backoff::new());
    let mut delays = Vec::new();
    for _ in 0..100 {
        let upstream = Upstream::new([throttled_for(7), ok()]);
        layer
            .layer(upstream.clone())
            .oneshot(request())
            .await
            .unwrap();
        delays.push(upstream.arrivals()[1]);
    }
    assert!(
        delays.iter().all(|delay| (7_000..=7_701).contains(delay)),
        "{delays:?}"
    );
    assert!(delays.iter().any(|delay| *delay > 7_100), "{delays:?}");
}

#[tokio::test(start_paused = true)]
async fn backs_off_when_nothing_is_known() {
    let upstream = Upstream::new([throttled(), throttled(), throttled(), ok()]);
    let response = layer()
        .layer(upstream.clone())
        .oneshot(request())
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(upstream.arrivals(), [0, 1_000, 3_000, 7_000]);
}

#[tokio::test(start_paused = true)]
async fn waits_as_such_limits_usually_take() {
    let refusal = || {
        json(
            429,
            &serde_json::json!({"error": {
                "message": "You exceeded your current quota, please check your plan and billing details.",
                "type": "insufficient_quota",
                "code": "insufficient_quota",
            }}),
        )
    };
    let layer = layer().reader(Reader::new().profile(Profile::named("model-studio").unwrap()));
    let upstream = Upstream::new([refusal(), refusal(), ok()]);
    let response = layer
        .layer(upstream.clone())
        .oneshot(request())
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(upstream.arrivals(), [0, 1_000, 3_000]);
}

#[tokio::test(start_paused = true)]
async fn hands_back_at_once_what_no_wait_cures() {
    let refusal = json(
        429,
        &serde_json::json!({"error": {"code": "insufficient_quota", "message": "You exceeded your current quota"}}),
    );
    let layer = layer().reader(Reader::new().profile(Profile::named("openai").unwrap()));
    let upstream = Upstream::new([refusal]);
    let response = layer
        .layer(upstream.clone())
        .oneshot(request())
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(upstream.arrivals(), [0]);
}

#[tokio::test(start_paused = true)]
async fn hands_back_at_once_when_the_server_asks_for_too_long() {
    let upstream = Upstream::new([throttled_for(61)]);
    let response = layer()
        .layer(upstream.clone())
        .oneshot(request())
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(upstream.arrivals(), [0]);
}

#[tokio::test(start_paused = true)]
async fn hands_back_the_last_refusal_when_retries_run_out() {
    let mut last = throttled_for(3);
    *last.body_mut() = Full::from("slow down");
    let upstream = Upstream::new([throttled_for(1), throttled_for(2), last]);
    let client = Retry429Layer::with_policy(POLICY.max_retries(2))
        .without_budget()
        .layer(upstream.clone());

    let response = client.oneshot(request()).await.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()["retry-after"], "3");
    let body = response.into_body().collect().await.unwrap();
    assert_eq!(body.to_bytes(), "slow down");
    assert_eq!(upstream.arrivals(), [0, 1_000, 3_000]);
}

#[tokio::test(start_paused = true)]
async fn does_not_wait_after_the_last_attempt() {
    let start = Instant::now();
    let upstream = Upstream::new([throttled_for(1), throttled_for(50)]);
    let client = Retry429Layer::with_policy(POLICY.max_retries(1))
        .without_budget()
        .layer(upstream);
    client.oneshot(request()).await.unwrap();
    assert_eq!(start.elapsed(), secs(1));
}

#[tokio::test(start_paused = true)]
async fn never_waits_past_the_deadline() {
    for (within, sends) in [(7_000, 2), (6_999, 1)] {
        for start_by in [false, true] {
            let at = Instant::now() + Duration::from_millis(within);
            let mut request = request();
            if start_by {
                request.extensions_mut().insert(StartBy(at));
            } else {
                request.extensions_mut().insert(Deadline(at));
            }
            let upstream = Upstream::new([throttled_for(7), ok()]);
            let start = Instant::now();
            layer()
                .layer(upstream.clone())
                .oneshot(request)
                .await
                .unwrap();
            assert_eq!(upstream.arrivals().len(), sends, "{within} {start_by}");
            // What cannot be in time is handed back at once.
            assert_eq!(start.elapsed().is_zero(), sends == 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn sends_a_paced_refusal_back_at_once_with_the_facts_of_the_first_attempt() {
    let paced = || {
        let mut response = throttled_for(30);
        let throttle = Throttle::new(Kind::RequestRate)
            .with_wait(Wait::Stated(secs(30)))
            .with_paced(true);
        response.extensions_mut().insert(Classified(Some(throttle)));
        response
    };
    // The limiter below holds the second attempt for its wait.
    let held = Answer::from(ok()).after(secs(30));
    let upstream = Upstream::new([Answer::from(paced()).after(secs(2)), held]);
    let start = Instant::now();
    layer()
        .layer(upstream.clone())
        .oneshot(request())
        .await
        .unwrap();

    assert_eq!(upstream.arrivals(), [0, 2_000]);
    let again = upstream.take_requests().remove(1);
    let facts = RequestFacts::get(again.extensions()).unwrap();
    assert_eq!(facts.arrived(), start);
}

#[tokio::test(start_paused = true)]
async fn sends_the_same_request_again() {
    let upstream = Upstream::new([throttled_for(1), ok()]);
    let request = Request::builder()
        .method(Method::POST)
        .uri("https://api.example/v1/things?limit=1")
        .header("x-request-id", "42")
        .body(Full::from("payload"))
        .unwrap();
    layer()
        .layer(upstream.clone())
        .oneshot(request)
        .await
        .unwrap();

    let [first, second] = upstream.take_requests().try_into().unwrap();
    assert_eq!(first.method(), second.method());
    assert_eq!(first.uri(), second.uri());
    assert_eq!(first.headers(), second.headers());
    assert_eq!(first.body(), second.body());
    assert_eq!(second.body().as_deref(), Some(&b"payload"[..]));
}

/// A body that can be sent once.
struct Once;

impl http_body::Body for Once {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(None)
    }
}

impl Replay for Once {
    fn replay(&self) -> Option<Self> {
        None
    }

    fn bytes(&self) -> Option<Bytes> {
        None
    }
}

#[tokio::test(start_paused = true)]
async fn passes_the_answer_on_when_the_body_cannot_be_sent_again() {
    let upstream = Upstream::new([throttled_for(1)]);
    let response = layer()
        .layer(upstream.clone())
        .oneshot(Request::new(Once))
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(upstream.arrivals(), [0]);
}

#[tokio::test(start_paused = true)]
async fn retries_any_body_behind_a_replay_layer() {
    let upstream = Upstream::new([throttled_for(1), ok()]);
    let client = ServiceBuilder::new()
        .layer(ReplayLayer::new(1024))
        .layer(layer())
        .service(upstream.clone());
    let body = Steps::new().data("pay").data("load").stating_its_size();
    client.oneshot(Request::new(body)).await.unwrap();
    let seen = upstream.take_requests();
    assert_eq!(seen[1].body().as_deref(), Some(&b"payload"[..]));
}

#[tokio::test(start_paused = true)]
async fn judges_a_refusal_whose_body_never_ends_by_what_has_come() {
    let stuck = || throttled_for(7).map(|_| Steps::new().data("{\"error\":").never());
    let done = ok().map(|_| Steps::new());
    let upstream = Upstream::new([stuck(), done]);
    let response = layer()
        .layer(upstream.clone())
        .oneshot(request())
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(upstream.arrivals(), [0, 12_000]); // 5 s of patience, then the wait
}

#[tokio::test(start_paused = true)]
async fn errors_are_the_policys() {
    const REFUSED: WithErrors<Backoff, UpstreamError> =
        WithErrors::new(POLICY, |error| error.0 == "connection refused");
    let layer = Retry429Layer::with_policy(REFUSED).without_budget();

    let refused = || Answer::error("connection refused");
    let upstream = Upstream::new([refused(), refused(), ok().into()]);
    layer
        .layer(upstream.clone())
        .oneshot(request())
        .await
        .unwrap();
    assert_eq!(upstream.arrivals(), [0, 1_000, 3_000]);

    let reset: Answer = Answer::error("connection reset");
    let upstream = Upstream::new([reset]);
    let error = layer
        .layer(upstream.clone())
        .oneshot(request())
        .await
        .unwrap_err();
    assert_eq!(error.0, "connection reset");
    assert_eq!(upstream.arrivals(), [0]);
}

#[tokio::test(start_paused = true)]
async fn a_policy_counts_for_one_request_only() {
    #[derive(Clone)]
    struct Once(bool);

    impl<E> Policy<E> for Once {
        fn decide(&mut self, _: &Attempt<'_, E>) -> Decision {
            if std::mem::replace(&mut self.0, true) {
                return Decision::give_back("once");
            }
            Decision::retry(secs(1), "once")
        }
    }

    let upstream = Upstream::new(std::iter::repeat_with(throttled).take(4));
    let client = Retry429Layer::with_policy(Once(false)).layer(upstream.clone());

    client.clone().oneshot(request()).await.unwrap();
    client.oneshot(request()).await.unwrap();
    assert_eq!(upstream.arrivals(), [0, 1_000, 1_000, 2_000]);
}

#[tokio::test(start_paused = true)]
async fn takes_the_verdict_of_a_layer_below() {
    let mut response: Response<Full<Bytes>> = Response::default();
    let throttle = Throttle::new(Kind::Concurrency).with_wait(Wait::Stated(secs(2)));
    response.extensions_mut().insert(Classified(Some(throttle)));
    let response = Arc::new(std::sync::Mutex::new(Some(response)));
    let upstream = Upstream::answering(move |_| {
        let refused = response.lock().unwrap().take();
        refused.unwrap_or_else(ok)
    });
    layer()
        .layer(upstream.clone())
        .oneshot(request())
        .await
        .unwrap();
    assert_eq!(upstream.arrivals(), [0, 2_000]);
}

#[tokio::test(start_paused = true)]
async fn facts_from_above_go_down_unchanged_each_time() {
    let upstream = Upstream::new([throttled_for(1), ok()]);
    let mut request = request();
    let facts = RequestFacts::ensure(&mut request, Instant::now());
    tokio::time::advance(secs(3)).await;
    layer()
        .layer(upstream.clone())
        .oneshot(request)
        .await
        .unwrap();
    for seen in upstream.take_requests() {
        let seen = RequestFacts::get(seen.extensions()).unwrap().arrived();
        assert_eq!(seen, facts.arrived());
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_is_handed_back_names_the_model() {
    let upstream = Upstream::new([throttled_for(61)]);
    let request = Request::new(Full::<Bytes>::from(r#"{"model":"qwen3-max"}"#));
    let response = layer().layer(upstream).oneshot(request).await.unwrap();
    let throttle = Classified::throttle(response.extensions()).unwrap();
    assert_eq!(throttle.model().map(AsRef::as_ref), Some("qwen3-max"));
}
