//! Reading a response on its way up: what is looked at, and that it is handed on whole.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderValue, Request};
use http_body_util::{BodyExt, Full};
use test_support::{NotUnpin, Steps};
use throttle_signal::{AccountId, Classified, Kind, Profile, Reader, RequestFacts, Throttle};
use tokio::time::{self, Instant};

use crate::exchange::{ALI, JSON, SSE, kind, read, request, response};

#[tokio::test(start_paused = true)]
async fn an_error_is_read_and_handed_on_whole() {
    let trailers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("x"))]);
    let body = Steps::new()
        .data("{\"error\":{\"code\":")
        .data("\"limit_burst_rate\"}}")
        .trailers(trailers.clone());
    let read = read(ALI, response(429, JSON, NotUnpin::new(body))).await;
    assert_eq!(kind(&read), Some(Kind::Burst));

    let whole = read.into_body().collect().await.unwrap();
    assert_eq!(whole.trailers(), Some(&trailers));
    assert_eq!(
        whole.to_bytes(),
        "{\"error\":{\"code\":\"limit_burst_rate\"}}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_error_longer_than_64_kib_is_judged_by_its_beginning() {
    let long = format!(
        "{{\"error\":{{\"code\":\"limit_burst_rate\"}}}}{}",
        " ".repeat(200_000)
    );
    let body = Steps::new()
        .data(long[..70_000].to_owned())
        .data(long[70_000..].to_owned());
    let read = read(ALI, response(429, JSON, body)).await;
    assert_eq!(kind(&read), Some(Kind::Burst));
    assert_eq!(read.into_body().collect().await.unwrap().to_bytes(), long);
}

#[tokio::test(start_paused = true)]
async fn an_error_that_fails_on_the_way_is_judged_by_what_came() {
    let body = Steps::new()
        .data("{\"code\":\"Throttling.BurstRate\"")
        .error("reset");
    let read = read(ALI, response(429, JSON, body)).await;
    assert_eq!(kind(&read), Some(Kind::Burst));
    assert!(read.into_body().collect().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn an_error_that_never_ends_is_judged_after_five_seconds() {
    let start = Instant::now();
    let body = Steps::new()
        .data("{\"code\":\"Throttling.BurstRate\"")
        .never();
    let read = read(ALI, response(429, JSON, body)).await;
    assert_eq!(kind(&read), Some(Kind::Burst));
    assert_eq!(start.elapsed(), Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn a_success_passes_unread() {
    // A body that would never come would hold it up.
    for (status, content_type) in [
        (200, JSON),
        (200, SSE),
        (204, JSON),
        (302, JSON),
        (200, "text/html"),
    ] {
        let read = read(
            "https://api.openai.com/v1",
            response(status, content_type, Steps::new().never()),
        )
        .await;
        assert!(read.extensions().is_empty(), "{status} {content_type}");
    }
    let read = read(ALI, response(200, SSE, Steps::new().never())).await;
    assert_eq!(kind(&read), None);
}

#[tokio::test(start_paused = true)]
async fn a_response_that_was_read_below_passes() {
    let mut refused = response(429, JSON, Steps::new().never());
    let verdict = Classified(Some(Throttle::new(Kind::Concurrency)));
    refused.extensions_mut().insert(verdict.clone());
    let read = read(ALI, refused).await;
    assert_eq!(read.extensions().get::<Classified>(), Some(&verdict));
}

#[tokio::test(start_paused = true)]
async fn an_error_inside_a_success_is_read_where_errors_hide() {
    let body = || Steps::new().data("{\"base_resp\":{\"status_code\":1002}}");
    let read_by = |uri: &'static str| read(uri, response(200, JSON, body()));
    assert_eq!(
        kind(&read_by("https://api.minimax.chat/v1").await),
        Some(Kind::RequestRate)
    );
    assert_eq!(kind(&read_by("https://api.openai.com/v1").await), None);
}

#[tokio::test(start_paused = true)]
async fn a_port_or_capitals_do_not_hide_where_errors_hide() {
    for uri in [
        "https://api.minimax.chat:8443/v1",
        "https://API.MiniMax.Chat/v1",
        "https://user@api.minimax.chat/v1",
    ] {
        let body = Steps::new().data("{\"base_resp\":{\"status_code\":1002}}");
        assert_eq!(
            kind(&read(uri, response(200, JSON, body)).await),
            Some(Kind::RequestRate),
            "{uri}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_recognized_without_reading_all_of_it() {
    let body = Steps::new()
        .data("{\"id\":\"1\",\"choices\":[{\"message\":")
        .never();
    let read = read(ALI, response(200, JSON, body)).await;
    assert_eq!(kind(&read), None);
}

#[tokio::test(start_paused = true)]
async fn the_verdict_names_account_and_model() {
    let mut request = request(ALI);
    RequestFacts::ensure(&mut request, Instant::now());
    let facts = RequestFacts::get_mut(request.extensions_mut()).unwrap();
    facts.set_account(Some(AccountId::from("a")), None);
    let refused = response(429, JSON, Full::<Bytes>::default());
    let read = Reader::new().begin(&request).read(refused).await;
    let throttle = Classified::throttle(read.extensions()).unwrap();
    assert_eq!(throttle.account(), Some(&AccountId::from("a")));
    assert_eq!(throttle.model().map(AsRef::as_ref), Some("qwen3-max"));
    assert_eq!(
        throttle.to_string(),
        "too many requests for qwen3-max on account a; it passes with time"
    );
}

#[tokio::test(start_paused = true)]
async fn what_the_upstream_said_is_shown_without_ids() {
    let body = r#"{"error":{"message":"Your account org-1a2b3c<ak-9z8y7x> reached max RPM: 3"}}"#;
    let read = read(
        "https://api.moonshot.cn/v1",
        response(429, JSON, Full::<Bytes>::from(body)),
    )
    .await;
    let throttle = Classified::throttle(read.extensions()).unwrap();
    assert_eq!(
        throttle.said().as_deref(),
        Some("Your account org-…<ak-…> reached max RPM: 3")
    );
    assert!(!format!("{throttle:?} {throttle}").contains("1a2b3c"));
}

#[tokio::test(start_paused = true)]
async fn the_host_is_that_of_the_uri_or_the_header() {
    let body = r#"{"error":{"code":"insufficient_quota"}}"#;
    let mut by_header = request("/v1");
    by_header
        .headers_mut()
        .insert(HOST, HeaderValue::from_static("api.openai.com:443"));
    for request in [request("https://api.openai.com:443/v1"), by_header] {
        let refused = response(429, JSON, Full::<Bytes>::from(body));
        let read = Reader::new().begin(&request).read(refused).await;
        assert_eq!(kind(&read), Some(Kind::QuotaExhausted));
    }
}

#[tokio::test(start_paused = true)]
async fn the_model_of_the_request_decides_where_a_code_changed_its_meaning() {
    let read_for = |model: &str| {
        let body = Full::from(format!(r#"{{"model":"{model}"}}"#));
        let mut request = Request::builder()
            .uri("https://ark.cn-beijing.volces.com/v3")
            .body(body)
            .unwrap();
        RequestFacts::ensure(&mut request, Instant::now());
        let refused = response(
            429,
            JSON,
            Full::<Bytes>::from(r#"{"error":{"code":"ServerOverloaded"}}"#),
        );
        Reader::new().begin(&request).read(refused)
    };
    assert_eq!(kind(&read_for("doubao-seed-1-8").await), Some(Kind::Burst));
    assert_eq!(
        kind(&read_for("doubao-seed-2-0").await),
        Some(Kind::Overloaded)
    );
}

#[test]
fn a_profile_can_be_told_to_look_into_successes() {
    let profile = Profile::new("mine").errors_in_success(true);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let reader = Reader::new().profile(profile);
    let hidden = response(
        200,
        JSON,
        Full::<Bytes>::from(r#"{"error":"too many tokens"}"#),
    );
    let read = runtime.block_on(async { reader.begin(&request("http://h/")).read(hidden).await });
    assert_eq!(kind(&read), Some(Kind::TokenRate));
}

#[tokio::test(start_paused = true)]
async fn a_strangers_insufficient_quota_is_exhausted_after_two_windows_without_a_success() {
    let reader = Reader::new();
    let refused = || {
        response(
            429,
            JSON,
            Full::<Bytes>::from(r#"{"error":{"code":"insufficient_quota"}}"#),
        )
    };
    let read = |answer| {
        reader
            .begin(&request("https://relay.example/v1"))
            .read(answer)
    };
    assert_eq!(kind(&read(refused()).await), Some(Kind::TokenRate));
    time::advance(Duration::from_secs(119)).await;
    assert_eq!(kind(&read(refused()).await), Some(Kind::TokenRate));

    // A success between shows that it was a limit of a minute.
    read(response(200, JSON, Full::default())).await;
    time::advance(Duration::from_secs(10)).await;
    assert_eq!(kind(&read(refused()).await), Some(Kind::TokenRate));
    time::advance(Duration::from_secs(121)).await;
    let last = read(refused()).await;
    let throttle = Classified::throttle(last.extensions()).unwrap();
    assert_eq!(
        (throttle.kind(), throttle.retry()),
        (Kind::QuotaExhausted, false)
    );
    // Of others nothing is known.
    let other = reader
        .begin(&request("https://other.example/v1"))
        .read(refused())
        .await;
    assert_eq!(kind(&other), Some(Kind::TokenRate));
}
