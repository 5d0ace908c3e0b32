//! What tokens cost, before and after.

use http::Response;
use http_body_util::{BodyExt, Full};
use rate_limit_layer::{Charging, Estimate, Limiter, Quota};
use serde_json::json;
use test_support::{Answer, Upstream, json, ok, sse, with_status};
use throttle_signal::{Classified, RequestFacts};
use tokio::time::Instant;
use tower::ServiceExt;

use crate::support::{Body, chat, ms, pass, request, send, service};

const TOKENS: Quota = Quota::new().tokens_per_minute(10_000);

fn limiter(quota: Quota) -> Limiter {
    Limiter::builder().default_quota(quota).guard(ms(0)).build()
}

fn used(limiter: &Limiter) -> u64 {
    limiter.snapshot()[0].limits[0].used
}

/// How much is used once an answer was sent and read.
async fn used_after(quota: Quota, answer: impl Fn() -> Response<Body> + Send + 'static) -> u64 {
    let limiter = limiter(quota);
    let upstream = Upstream::answering(move |_| answer());
    let response = send(&service(&limiter, &upstream), chat("m", 100))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(used(&limiter), 700); // 100 in, and 600 that an answer is taken for
    response.into_body().collect().await.unwrap();
    used(&limiter)
}

#[tokio::test(start_paused = true)]
async fn usage_in_json_settles_it() {
    let answer = || {
        json(
            200,
            &json!({"choices": [], "usage": {"prompt_tokens": 30, "completion_tokens": 12}}),
        )
    };
    assert_eq!(used_after(TOKENS, answer).await, 42);
}

#[tokio::test(start_paused = true)]
async fn usage_in_the_last_event_settles_it() {
    let answer = || {
        sse([
            r#"{"choices":[{}],"usage":null}"#,
            r#"{"choices":[],"usage":{"prompt_tokens":25,"completion_tokens":50}}"#,
            "[DONE]",
        ])
    };
    assert_eq!(used_after(TOKENS, answer).await, 75);
}

#[tokio::test(start_paused = true)]
async fn without_usage_the_estimate_stands() {
    assert_eq!(used_after(TOKENS, ok).await, 700);
    assert_eq!(
        used_after(TOKENS, || json(200, &json!({"usage": "much"}))).await,
        700
    );
    assert_eq!(
        used_after(TOKENS, || json(
            200,
            &json!({"usage": {"prompt_tokens": -1}})
        ))
        .await,
        700
    );
}

#[tokio::test(start_paused = true)]
async fn tokens_that_were_not_known_before_count_once_they_are_told() {
    for charging in [
        Charging::PostPaid,
        Charging::MaxThenRefund,
        Charging::MaxUpFront,
    ] {
        let limiter = limiter(TOKENS.charging(charging));
        let usage = json!({"usage": {"prompt_tokens": 500, "completion_tokens": 100}});
        let upstream = Upstream::answering(move |_| json(200, &usage));
        let service = service(&limiter, &upstream);
        for told in [500, 1000] {
            // Without a body that is at hand nothing can be estimated.
            let response = send(&service, request()).await.unwrap().unwrap();
            response.into_body().collect().await.unwrap();
            let answers = match charging {
                Charging::MaxUpFront => 0, // as much as was charged, which was not known
                _ => told / 5,
            };
            assert_eq!(used(&limiter), told + answers, "{charging:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_dropped_settles_what_it_reported() {
    let limiter = limiter(TOKENS);
    let upstream = Upstream::answering(|_| ok());
    let response = send(&service(&limiter, &upstream), chat("m", 100))
        .await
        .unwrap()
        .unwrap();
    drop(response);
    assert_eq!(used(&limiter), 700);
    assert_eq!(limiter.snapshot()[0].in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_wrong_costs_no_tokens() {
    let limiter = limiter(TOKENS);
    let upstream = Upstream::answering(|_| with_status(http::StatusCode::BAD_REQUEST));
    send(&service(&limiter, &upstream), chat("m", 100))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(used(&limiter), 0);
}

#[tokio::test(start_paused = true)]
async fn a_refused_request_costs_no_tokens() {
    let limiter = limiter(TOKENS);
    let upstream = Upstream::answering(|_| test_support::throttled());
    send(&service(&limiter, &upstream), chat("m", 100))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(used(&limiter), 0);
}

#[tokio::test(start_paused = true)]
async fn the_answer_counts_from_when_it_is_complete() {
    let limiter = limiter(TOKENS);
    let usage = json!({"usage": {"prompt_tokens": 100, "completion_tokens": 900}});
    let upstream = Upstream::answering(move |_| Answer::from(json(200, &usage)).after(ms(50_000)));
    let response = send(&service(&limiter, &upstream), chat("m", 100))
        .await
        .unwrap()
        .unwrap();
    response.into_body().collect().await.unwrap();
    assert_eq!(used(&limiter), 1000);
    pass(10_001).await;
    assert_eq!(used(&limiter), 900); // the prompt has left the window, the answer has not
    pass(50_000).await;
    assert_eq!(used(&limiter), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_charged_up_front_is_not_given_back() {
    let answer = || {
        json(
            200,
            &json!({"usage": {"prompt_tokens": 100, "completion_tokens": 12}}),
        )
    };
    for (charging, left) in [(Charging::MaxUpFront, 4196), (Charging::MaxThenRefund, 112)] {
        let limiter = limiter(TOKENS.charging(charging));
        let upstream = Upstream::answering(move |_| answer());
        let response = send(&service(&limiter, &upstream), chat("m", 100))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(used(&limiter), 4196);
        response.into_body().collect().await.unwrap();
        assert_eq!(used(&limiter), left, "{charging:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn debt_is_waited_off() {
    let limiter = limiter(TOKENS);
    let usage = json!({"usage": {"prompt_tokens": 100, "completion_tokens": 25_000}});
    let upstream = Upstream::answering(move |_| json(200, &usage));
    let service = service(&limiter, &upstream);
    let response = send(&service, chat("m", 100)).await.unwrap().unwrap();
    response.into_body().collect().await.unwrap();
    assert_eq!(used(&limiter), 25_100);
    send(&service, chat("m", 100)).await.unwrap().unwrap();
    assert!(
        upstream.arrivals()[1] >= 60_000,
        "{:?}",
        upstream.arrivals()
    );
}

#[tokio::test(start_paused = true)]
async fn one_larger_than_a_short_window_waits_for_it_to_be_empty() {
    let limiter = limiter(
        Quota::new()
            .tokens_per_second(1_000)
            .tokens_per_minute(60_000),
    );
    let upstream = Upstream::answering(|_| ok());
    let service = service(&limiter, &upstream);
    for _ in 0..2 {
        send(&service, chat("m", 5_000)).await.unwrap().unwrap();
    }
    assert!(upstream.arrivals()[1] >= 1_000, "{:?}", upstream.arrivals());
    assert!(
        upstream.arrivals()[1] <= 10_000,
        "{:?}",
        upstream.arrivals()
    );
}

#[tokio::test(start_paused = true)]
async fn one_larger_than_every_window_is_refused_at_once() {
    let upstream = Upstream::silent();
    let began = Instant::now();
    let service = service(&limiter(TOKENS), &upstream);
    let response = send(&service, chat("m", 50_000)).await.unwrap().unwrap();
    assert!(began.elapsed().is_zero());
    let throttle = Classified::throttle(response.extensions()).unwrap();
    assert!(!throttle.retry(), "{throttle:?}");
}

#[tokio::test(start_paused = true)]
async fn a_tokenizer_can_be_plugged_in() {
    #[derive(Debug)]
    struct Words;

    impl Estimate for Words {
        fn input_tokens(&self, _: &RequestFacts, body: &[u8]) -> u64 {
            body.split(|byte| *byte == b' ').count() as u64
        }
    }

    let limiter = Limiter::builder()
        .default_quota(TOKENS)
        .estimate(Words)
        .build();
    let upstream = Upstream::answering(|_| ok());
    let request = http::Request::new(Full::from(r#"{"model":"m", "messages": "one two three"}"#));
    service(&limiter, &upstream).oneshot(request).await.unwrap();
    assert_eq!(used(&limiter), 5 + 600);
}

#[tokio::test(start_paused = true)]
async fn estimates_follow_what_answers_report() {
    let limiter = limiter(Quota::new().tokens_per_minute(100_000_000));
    let usage = json!({"usage": {"prompt_tokens": 200, "completion_tokens": 50}});
    let upstream = Upstream::answering(move |_| json(200, &usage));
    let service = service(&limiter, &upstream);
    for _ in 0..400 {
        let response = send(&service, chat("m", 100)).await.unwrap().unwrap();
        response.into_body().collect().await.unwrap();
    }
    let before = used(&limiter);
    let _response = send(&service, chat("m", 100)).await.unwrap().unwrap();
    assert!(
        (240..=260).contains(&(used(&limiter) - before)),
        "{}",
        used(&limiter) - before
    );
}

#[tokio::test(start_paused = true)]
async fn tokens_can_weigh_more_or_nothing() {
    let quota = TOKENS.output_weight(5.0).cached_weight(0.0);
    let limiter = limiter(quota);
    let usage = json!({"usage": {"prompt_tokens": 100, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 80}}});
    let upstream = Upstream::answering(move |_| json(200, &usage));
    let response = send(&service(&limiter, &upstream), chat("m", 100))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(used(&limiter), 100 + 5 * 600);
    response.into_body().collect().await.unwrap();
    assert_eq!(used(&limiter), 20 + 5 * 10);
}
