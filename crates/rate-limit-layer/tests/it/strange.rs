//! Requests and answers that make no sense. They are admitted on an estimate, whoever sends them gets
//! its answer, and nothing is left behind.

use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use proptest::prelude::*;
use rate_limit_layer::{Charging, Limiter, Quota};
use test_support::Upstream;
use tokio::runtime::Builder;
use tokio::time::timeout;

use crate::support::{Body, send, service};

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        "-?[0-9]{1,25}(\\.[0-9]{1,3})?(e[0-9]{1,3})?",
        Just("null".to_owned()),
        Just("\"4096\"".to_owned()),
        Just("[]".to_owned()),
        Just(u64::MAX.to_string()),
    ]
}

/// A body that is a chat request with any `max_tokens`, or cut off, or anything at all.
fn asked() -> impl Strategy<Value = Vec<u8>> {
    let chat = (number(), number(), 0..200_usize).prop_map(|(most, choices, cut)| {
        let chat = format!(
            r#"{{"model":"m","max_tokens":{most},"n":{choices},"messages":[{{"role":"user","content":"啊 why?"}}]}}"#
        );
        let mut chat = chat.into_bytes();
        chat.truncate(chat.len().saturating_sub(cut.saturating_sub(100)));
        chat
    });
    prop_oneof![4 => chat, 1 => proptest::collection::vec(any::<u8>(), 0..200)]
}

/// An answer with any `usage`, as a document or a stream, or anything at all.
fn answered() -> impl Strategy<Value = (u16, &'static str, Vec<u8>)> {
    let usage = (number(), number(), number()).prop_map(|(input, output, cached)| {
        format!(
            r#"{{"usage":{{"prompt_tokens":{input},"completion_tokens":{output},"total_tokens":{cached},"prompt_tokens_details":{{"cached_tokens":{cached}}}}}}}"#
        )
    });
    let document = usage.prop_map(String::into_bytes).boxed();
    let any = proptest::collection::vec(any::<u8>(), 0..200);
    let body = prop_oneof![document.clone(), document.prop_map(|it| as_event(&it)), any];
    let media = prop::sample::select(vec!["application/json", "text/event-stream", "", "a/b"]);
    let status = prop::sample::select(vec![200, 200, 200, 204, 400, 401, 404, 429, 500, 503]);
    (status, media, body)
}

fn as_event(document: &[u8]) -> Vec<u8> {
    [b"data: ", document, b"\n\n"].concat()
}

fn field() -> impl Strategy<Value = (HeaderName, HeaderValue)> {
    let name = prop::sample::select(vec![
        "x-ratelimit-limit-requests",
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
        "x-ratelimit-remaining-tokens",
        "anthropic-ratelimit-output-tokens-remaining",
        "ratelimit",
        "ratelimit-policy",
        "retry-after",
        "retry-after-ms",
    ]);
    let value = prop_oneof![
        number(),
        "[ -~]{0,30}",
        r#""a";[rtqw]=[0-9]{1,22}"#,
        r#""a";q=[0-9]{1,3};w=[0-9]{1,22}"#
    ];
    (name, value).prop_filter_map("a value of a header", |(name, value)| {
        let value = HeaderValue::try_from(value).ok()?;
        Some((HeaderName::from_static(name), value))
    })
}

/// Longer than any wait that is believed.
const LONG: Duration = Duration::from_secs(40 * 24 * 3600);

async fn exchange(quota: Quota, adopt: bool, asked: Vec<Vec<u8>>, answer: Response<Body>) {
    let limiter = Limiter::builder()
        .default_quota(quota)
        .adopt_limits(adopt)
        .build();
    let upstream = Upstream::answering(move |_| answer.clone());
    let service = service(&limiter, &upstream);
    for asked in asked {
        let request = http::Request::new(Full::from(asked));
        let answered = timeout(LONG, send(&service, request)).await;
        let response = answered.expect("a stuck caller").unwrap().unwrap();
        response.into_body().collect().await.unwrap();
    }
    let all = limiter.snapshot();
    assert!(
        all.iter().all(|one| (one.waiting, one.in_flight) == (0, 0)),
        "{all:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_strange_panics_or_keeps_a_caller_waiting(
        asked in proptest::collection::vec(asked(), 1..5),
        (status, media, body) in answered(),
        fields in proptest::collection::vec(field(), 0..5),
        charging in prop::sample::select(vec![Charging::PostPaid, Charging::MaxUpFront, Charging::MaxThenRefund]),
        weight in prop::num::f32::ANY,
        adopt: bool,
    ) {
        let mut answer = Response::new(Body::from(body));
        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media));
        answer.headers_mut().extend(fields);
        let quota = Quota::QWEN3_MAX.charging(charging).output_weight(weight).cached_weight(weight);
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(exchange(quota, adopt, asked, answer));
    }
}
