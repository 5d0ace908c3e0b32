//! What reading a response costs, next to parsing its body and to a header look-up.

#![allow(missing_docs, reason = "what the macros of criterion make has none")]

use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::Full;
use throttle_signal::{Classified, Reader};

/// A refusal of 1 KiB as Google sends it, and one as Model Studio does, padded to the same length.
fn bodies() -> [(&'static str, &'static str, String); 2] {
    let google = r#"{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details. For more information on this error, head to the documentation of rate limits.\n* Quota exceeded for metric: generativelanguage.googleapis.com/generate_content_free_tier_requests, limit: 2\nPlease retry in 56.185908122s.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaMetric":"generativelanguage.googleapis.com/generate_content_free_tier_requests","quotaId":"GenerateRequestsPerMinutePerProjectPerModel-FreeTier","quotaDimensions":{"location":"global","model":"gemini-2.5-pro"},"quotaValue":"2"}]},{"@type":"type.googleapis.com/google.rpc.Help","links":[{"description":"Learn more about quotas","url":"https://ai.google.dev/gemini-api/docs/rate-limits"}]},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"56s"}],"padding":""}}"#;
    let ali = r#"{"error":{"message":"You exceeded your current quota, please check your plan and billing details. For details, see the documentation.","type":"insufficient_quota","param":"insufficient_quota","code":"insufficient_quota"},"request_id":"00000000-0000-0000-0000-000000000001","padding":""}"#;
    let pad = |body: &str| {
        let missing = 1024_usize.saturating_sub(body.len());
        body.replace(
            "\"padding\":\"\"",
            &format!("\"padding\":\"{}\"", "x".repeat(missing)),
        )
    };
    [
        ("gemini", "generativelanguage.googleapis.com", pad(google)),
        ("model-studio", "dashscope.aliyuncs.com", pad(ali)),
    ]
}

fn refusals(c: &mut Criterion) {
    let reader = Reader::new();
    let headers = HeaderMap::new();
    let mut group = c.benchmark_group("refusal");
    for (name, host, body) in bodies() {
        group.bench_function(format!("{name}/serde_json to a Value"), |b| {
            b.iter(|| serde_json::from_slice::<serde_json::Value>(black_box(body.as_bytes())));
        });
        group.bench_function(format!("{name}/classify"), |b| {
            b.iter(|| {
                reader.classify(
                    host,
                    StatusCode::TOO_MANY_REQUESTS,
                    &headers,
                    black_box(body.as_bytes()),
                )
            });
        });
    }
    group.finish();
}

fn successes(c: &mut Criterion) {
    let reader = Reader::new();
    let mut headers = HeaderMap::new();
    for name in [
        "date",
        "server",
        "vary",
        "x-request-id",
        "content-length",
        "cache-control",
    ] {
        headers.insert(name, HeaderValue::from_static("x"));
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let response = || {
        let mut response = Response::new(Full::<Bytes>::default());
        response.headers_mut().clone_from(&headers);
        response
    };
    let mut group = c.benchmark_group("success");
    group.bench_function("nothing", |b| {
        b.iter_batched(response, |response| response, BatchSize::SmallInput);
    });
    group.bench_function("a header look-up and an extension", |b| {
        b.iter_batched(
            response,
            |mut response| {
                black_box(response.headers().get(CONTENT_TYPE));
                response.extensions_mut().insert(Classified(None));
                response
            },
            BatchSize::SmallInput,
        );
    });
    for host in [
        "api.openai.com",
        "dashscope.aliyuncs.com",
        "api.example.com",
    ] {
        let request = Request::builder()
            .uri(format!("https://{host}/v1"))
            .body(())
            .unwrap_or_default();
        group.bench_function(format!("begun and read, from {host}"), |b| {
            b.iter_batched(
                response,
                |response| {
                    let reading = reader.begin(black_box(&request));
                    let mut read = pin!(reading.read(response));
                    match read.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                        Poll::Ready(response) => Some(response),
                        Poll::Pending => None,
                    }
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, refusals, successes);
criterion_main!(benches);
