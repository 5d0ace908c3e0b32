//! The shapes a body comes in.

use throttle_signal::Kind;

use crate::classify;

fn kind(host: &str, status: u16, body: &str) -> Option<Kind> {
    classify(host, status, &[], body).map(|throttle| throttle.kind())
}

#[test]
fn a_list_of_one_error() {
    let body =
        r#"[{"error":{"code":429,"message":"tokens per minute","status":"RESOURCE_EXHAUSTED"}}]"#;
    assert_eq!(kind("api.example.com", 429, body), Some(Kind::TokenRate));
}

#[test]
fn json_inside_a_message_once_and_twice() {
    let once = r#"{"error":{"message":"{\"error\":{\"code\":\"limit_burst_rate\"}}"}}"#;
    assert_eq!(kind("api.example.com", 429, once), Some(Kind::Burst));
    let twice = r#"{"error":{"message":"{\"error\":{\"message\":\"{\\\"code\\\":\\\"limit_burst_rate\\\"}\"}}"}}"#;
    assert_eq!(kind("api.example.com", 429, twice), Some(Kind::Burst));
}

#[test]
fn json_inside_a_sentence() {
    let body =
        r#"{"code":"x","message":"upstream said {\"code\":\"Throttling.BurstRate\"} just now"}"#;
    assert_eq!(kind("api.example.com", 429, body), Some(Kind::Burst));
}

#[test]
fn a_python_dict_inside_a_message() {
    let body = r#"{"error":{"message":"Error code: 429 - {'error': {'code': 'limit_burst_rate', 'param': None}}"}}"#;
    assert_eq!(kind("api.example.com", 429, body), Some(Kind::Burst));
}

#[test]
fn an_error_that_is_a_string() {
    assert_eq!(
        kind("api.example.com", 429, r#"{"error":"too many tokens"}"#),
        Some(Kind::TokenRate)
    );
}

#[test]
fn codes_as_numbers_and_as_strings() {
    for code in ["1302", "\"1302\"", "1302.0e0"] {
        let body = format!(r#"{{"error":{{"code":{code},"message":"concurrent"}}}}"#);
        assert_eq!(
            kind("open.bigmodel.cn", 429, &body),
            Some(Kind::Concurrency),
            "{code}"
        );
    }
    assert_eq!(
        kind("open.bigmodel.cn", 429, "[1305][busy][x]"),
        Some(Kind::Overloaded)
    );
}

#[test]
fn a_body_that_was_cut_off_counts_up_to_there() {
    let body = r#"{"error":{"code":"limit_burst_rate","message":"Request rate incr"#;
    assert_eq!(kind("api.example.com", 429, body), Some(Kind::Burst));
}

#[test]
fn a_byte_order_mark_and_white_space_before_it() {
    let body = "\u{feff}\n\n  {\"error\":{\"code\":\"limit_burst_rate\"}}";
    assert_eq!(kind("api.example.com", 429, body), Some(Kind::Burst));
}

#[test]
fn a_stream_with_an_error_first_or_later() {
    let first = "data:{\"type\":\"error\",\"code\":\"limit_burst_rate\"}\n\n";
    assert_eq!(kind("api.example.com", 200, first), Some(Kind::Burst));
    let named = ": hi\r\n\r\nevent: error\r\ndata: {\"code\":\"limit_burst_rate\"}\r\n\r\n";
    assert_eq!(kind("api.example.com", 200, named), Some(Kind::Burst));
    let later =
        format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"rate limit\"}}}}]}}\n\n{first}");
    assert_eq!(kind("api.example.com", 200, &later), Some(Kind::Burst));
    let fine = "data: {\"choices\":[{\"delta\":{\"content\":\"rate limit\"}}]}\n\ndata: [DONE]\n\n";
    assert_eq!(kind("api.example.com", 200, fine), None);
}

#[test]
fn a_comment_of_a_stream_and_a_message_that_name_the_status() {
    let event = |status: &str| {
        format!(
            "id:1\nevent:error\n:HTTP_STATUS/{status}\ndata:{{\"message\":\"tokens too long\"}}\n\n"
        )
    };
    let host = "dashscope.aliyuncs.com";
    assert_eq!(kind(host, 200, &event("429")), Some(Kind::TokenRate));
    assert_eq!(kind(host, 200, &event("400")), None);
    let frame = |message: &str| {
        format!("{{\"header\":{{\"error_code\":\"X\",\"error_message\":\"{message}\"}}}}")
    };
    assert_eq!(kind(host, 200, &frame("<400> tokens too long")), None);
    assert_eq!(
        kind(host, 200, &frame("<429> tokens too long")),
        Some(Kind::TokenRate)
    );
}

#[test]
fn an_error_of_the_responses_api_behind_a_large_first_event() {
    let large = "x".repeat(40_000);
    let body = format!(
        "data: {{\"type\":\"response.created\",\"response\":{{\"instructions\":\"{large}\",\"error\":null}}}}\n\n\
         data: {{\"type\":\"response.failed\",\"response\":{{\"error\":{{\"code\":\"insufficient_quota\"}}}}}}\n\n"
    );
    assert_eq!(
        kind("api.openai.com", 200, &body),
        Some(Kind::QuotaExhausted)
    );
}

#[test]
fn deep_nesting_is_no_trouble() {
    let body = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(kind("api.example.com", 429, &body), Some(Kind::RequestRate));
    let body = "{\"error\":".repeat(10_000);
    assert_eq!(kind("api.example.com", 429, &body), Some(Kind::RequestRate));
}
