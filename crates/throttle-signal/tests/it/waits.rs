//! Every form of a stated wait, and which is believed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::StatusCode;
use throttle_signal::{Kind, Reader, Wait};

use crate::{classify, headers};

/// The milliseconds that a 429 with these headers and this body states.
fn stated(pairs: &[(&'static str, &str)], body: &str) -> Option<u128> {
    let throttle = classify("api.example.com", 429, pairs, body).unwrap();
    throttle.wait().stated().map(|wait| wait.as_millis())
}

#[test]
fn every_form_of_retry_after_is_read() {
    let date = ("date", "Mon, 28 Sep 2026 19:59:30 GMT");
    for (value, expected) in [
        ("16", Some(16_000)),
        ("0", Some(0)),
        ("1.5", Some(1_500)),
        ("Mon, 28 Sep 2026 20:00:00 GMT", Some(30_000)),
        ("2026-09-28T20:00:00Z", Some(30_000)),
        ("1790625600", Some(30_000)),
        ("2m", Some(120_000)),
        // A moment that is past, and what is none.
        ("Mon, 28 Sep 2026 19:00:00 GMT", None),
        ("-5", None),
        ("soon", None),
        ("", None),
        // Longer than can be is very long, not absent.
        ("99999999999999999999", Some(315_360_000_000)),
        // A proxy joined two.
        ("3, 9", Some(9_000)),
    ] {
        assert_eq!(
            stated(&[date, ("retry-after", value)], ""),
            expected,
            "{value}"
        );
    }
}

/// Ten seconds before the date of the test.
fn clock() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_790_625_590)
}

#[test]
fn a_date_without_the_responses_own_clock_needs_ours() {
    let at = "Mon, 28 Sep 2026 20:00:00 GMT";
    assert_eq!(stated(&[("retry-after", at)], ""), None);
    let reader = Reader::new().clock(clock);
    let read = |pairs: &[(&'static str, &str)]| {
        let headers = headers(pairs);
        let throttle = reader.classify("", StatusCode::TOO_MANY_REQUESTS, &headers, b"");
        throttle.unwrap().wait()
    };
    assert_eq!(
        read(&[("retry-after", at)]),
        Wait::Stated(Duration::from_secs(10))
    );
    // The response's clock goes before ours: both dates are from the same one.
    let pairs = [
        ("retry-after", at),
        ("date", "Mon, 28 Sep 2026 19:59:00 GMT"),
    ];
    assert_eq!(read(&pairs), Wait::Stated(Duration::from_secs(60)));
}

#[test]
fn of_several_headers_the_longest_counts() {
    assert_eq!(
        stated(
            &[
                ("retry-after", "3"),
                ("retry-after", "9"),
                ("retry-after", "x")
            ],
            ""
        ),
        Some(9_000)
    );
}

#[test]
fn sources_are_believed_in_their_order() {
    let body = r#"{"error":{"message":"Please try again in 4s","resets_in_seconds":3,"details":[{"retryDelay":"2s"}]}}"#;
    let mut pairs = vec![
        ("retry-after-ms", "500"),
        ("x-ms-retry-after-ms", "700"),
        ("retry-after", "1"),
        ("x-retry-after", "6"),
        ("x-ratelimit-remaining-requests", "0"),
        ("x-ratelimit-reset-requests", "5s"),
    ];
    for expected in [500, 700, 1_000, 6_000] {
        assert_eq!(stated(&pairs, body), Some(expected));
        pairs.remove(0);
    }
    assert_eq!(stated(&pairs, body), Some(2_000));
    assert_eq!(
        stated(&pairs, &body.replace("retryDelay", "x")),
        Some(3_000)
    );
    let text = body
        .replace("retryDelay", "x")
        .replace("resets_in_seconds", "y");
    assert_eq!(stated(&pairs, &text), Some(4_000));
    assert_eq!(stated(&pairs, ""), Some(5_000));
}

#[test]
fn a_moment_may_stand_where_a_span_does() {
    let date = [("date", "Mon, 28 Sep 2026 20:00:00 GMT")];
    for (text, expected) in [
        ("retry after 2026-09-28T20:00:09Z", Some(9_000)),
        ("retry after 2026-09-28T19:00:00Z", None),
        (r#"{"retry-after": 9.5}"#, Some(9_500)),
    ] {
        assert_eq!(stated(&date, text), expected, "{text}");
    }
}

#[test]
fn a_delay_is_believed_before_the_moment_beside_it() {
    let date = [("date", "Mon, 28 Sep 2026 20:00:00 GMT")];
    let metadata =
        |pairs: &str| format!(r#"{{"error":{{"details":[{{"metadata":{{{pairs}}}}}]}}}}"#);
    let moment = r#""quotaResetTimeStamp":"2026-09-28T20:00:09Z""#;
    let both = format!(r#"{moment},"quotaResetDelay":"9.3s""#);
    assert_eq!(stated(&date, &metadata(&both)), Some(9_300));
    assert_eq!(stated(&date, &metadata(moment)), Some(9_000));
    assert_eq!(stated(&[], &metadata(moment)), None);
}

#[test]
fn who_has_retried_below_and_says_not_to_is_believed() {
    for (says, retry) in [("false", false), ("true", true)] {
        let pairs = [("x-should-retry", says), ("retry-after", "3")];
        let throttle = classify("api.example.com", 429, &pairs, "").unwrap();
        assert_eq!(throttle.retry(), retry, "{says}");
        assert_eq!(throttle.wait(), Wait::Stated(Duration::from_secs(3)));
    }
}

#[test]
fn a_gateway_says_when_its_accounts_are_back() {
    for body in [
        r#"{"error":{"code":"model_cooldown","reset_seconds":10}}"#,
        r#"{"error":{"code":"model_cooldown","reset_time":"10s"}}"#,
    ] {
        assert_eq!(stated(&[], body), Some(10_000), "{body}");
    }
}

#[test]
fn a_reset_counts_only_where_nothing_remains() {
    let reset = |requests: &'static str, tokens: &'static str| {
        stated(
            &[
                ("x-ratelimit-remaining-requests", requests),
                ("x-ratelimit-reset-requests", "1s"),
                ("x-ratelimit-remaining-tokens", tokens),
                ("x-ratelimit-reset-tokens", "6m0s"),
            ],
            "",
        )
    };
    assert_eq!(reset("0", "100"), Some(1_000));
    assert_eq!(reset("9", "0"), Some(360_000));
    assert_eq!(reset("9", "100"), None);
    assert_eq!(reset("0", "-3"), Some(360_000));
}

#[test]
fn the_reset_of_what_was_refused_counts_where_nothing_is_said_of_the_rest() {
    let alone = [("x-rate-limit-reset-tokens", "55")];
    assert_eq!(stated(&alone, "too many tokens per minute"), Some(55_000));
    assert_eq!(stated(&alone, "too many requests per minute"), None);
    let left = [
        ("x-ratelimit-reset-tokens", "55"),
        ("x-ratelimit-remaining-tokens", "7"),
    ];
    assert_eq!(stated(&left, "too many tokens per minute"), None);
}

#[test]
fn a_moment_is_read_with_the_offset_it_names() {
    let date = [("date", "Mon, 28 Sep 2026 12:00:00 GMT")];
    for text in [
        "resets at 2026-09-28 20:00:30 UTC+8",
        "将在 2026-09-28 20:00:30 UTC+8 重置",
        "resets at 2026-09-28 20:00:30 UTC+08:00",
        "resets at 2026-09-28 12:00:30 UTC.",
        "resets at 2026-09-28 09:00:30 GMT-3",
    ] {
        assert_eq!(stated(&date, text), Some(30_000), "{text}");
    }
}

#[test]
fn an_exhausted_header_tells_the_dimension() {
    let kind = |pairs: &[(&'static str, &str)]| {
        classify("api.example.com", 429, pairs, "").unwrap().kind()
    };
    assert_eq!(
        kind(&[("x-ratelimit-remaining-tokens", "0")]),
        Kind::TokenRate
    );
    for (name, expected) in [
        ("x-tpm-limit-remaining", Kind::TokenRate),
        ("x-ratelimitbysize-remaining-minute", Kind::TokenRate),
        ("x-user-limit-24hour-remaining", Kind::QuotaExhausted),
        ("x-ratelimit-remaining-month", Kind::QuotaExhausted),
        ("x-concurrent-limit-remaining", Kind::Concurrency),
    ] {
        assert_eq!(kind(&[(name, "0")]), expected, "{name}");
        assert_eq!(kind(&[(name, "1")]), Kind::RequestRate, "{name}");
    }
    for (dimension, expected) in [
        ("tokens", Kind::TokenRate),
        ("concurrent_requests", Kind::Concurrency),
        ("requests", Kind::RequestRate),
    ] {
        assert_eq!(kind(&[("rate_limit_type", dimension)]), expected);
    }
    assert_eq!(
        kind(&[("x-ratelimit-remaining-requests", "0")]),
        Kind::RequestRate
    );
    assert_eq!(
        kind(&[("x-ratelimit-remaining-requests-day", "0")]),
        Kind::QuotaExhausted
    );
    let concurrent = [
        ("ratelimit", "\"c\";r=0"),
        ("ratelimit-policy", "\"c\";q=5;qu=\"concurrent-requests\""),
    ];
    assert_eq!(kind(&concurrent), Kind::Concurrency);
    let daily = [
        ("ratelimit", "\"a\";r=80;t=30, \"b\";r=0;t=50000"),
        ("ratelimit-policy", "\"a\";q=100;w=60, \"b\";q=9;w=86400"),
    ];
    assert_eq!(kind(&daily), Kind::QuotaExhausted);
    assert_eq!(stated(&daily, ""), Some(50_000_000));
}

#[test]
fn words_state_waits_too() {
    for (text, expected) in [
        ("Please try again in 9m38.016s. Visit us", 578_016),
        ("Please try again in 644ms.", 644),
        ("try again in 1.984999999s", 1_984), // shown here without rounding up
        ("retry after 86400 seconds", 86_400_000),
        ("try again after 1 seconds", 1_000),
        ("Please wait 42 seconds before", 42_000),
        ("Please try again in 58 hours.", 208_800_000),
        ("You have been timed out for 60 seconds.", 60_000),
        ("will be replenished in 02:14:00.", 8_040_000),
        ("will be replenished in 3.02:14:00.", 267_240_000),
        ("(reset after 2m 13s)", 133_000),
        ("retry after: 30", 30_000),
        ("请在 30 秒后重试", 30_000),
        ("请 2 分钟后重试", 120_000),
    ] {
        assert_eq!(stated(&[], text), Some(expected), "{text}");
    }
    for text in [
        "Please wait a few minutes",
        "try again after 5 requests",
        "retry in due time",
        "limit 5",
    ] {
        assert_eq!(stated(&[], text), None, "{text}");
    }
}

#[test]
fn what_can_never_fit_is_not_retried_whatever_wait_is_stated() {
    let read = |limit, requested| {
        let body = format!(
            "tokens per min: Limit {limit}, Requested ~{requested}. Please try again in 50s"
        );
        let throttle = classify("api.example.com", 429, &[], &body).unwrap();
        (throttle.kind(), throttle.retry(), throttle.wait())
    };
    let wait = Wait::Stated(Duration::from_secs(50));
    assert_eq!(read(7000, 12_903), (Kind::TokenRate, false, wait));
    assert_eq!(read(7000, 7000), (Kind::TokenRate, true, wait));
}

#[test]
fn a_limit_of_nothing_never_passes() {
    let read = |limit: &str| {
        let body = format!("requests per minute, limit: {limit}\nPlease retry in 59s");
        classify("api.example.com", 429, &[], &body).unwrap()
    };
    assert_eq!(
        (read("0").kind(), read("0").retry()),
        (Kind::QuotaExhausted, false)
    );
    assert_eq!(
        (read("0.5").kind(), read("0.5").retry()),
        (Kind::RequestRate, true)
    );
}

#[test]
fn a_typical_wait_is_the_shortest_that_can_be_true() {
    let read = |body| {
        classify("dashscope.aliyuncs.com", 429, &[], body)
            .unwrap()
            .wait()
    };
    let second = Wait::Typical(Duration::from_secs(1));
    assert_eq!(read(r#"{"code":"Throttling.RateQuota"}"#), second);
    assert_eq!(read(r#"{"error":{"code":"insufficient_quota"}}"#), second);
    assert_eq!(
        read(r#"{"code":"Throttling.BurstRate"}"#),
        Wait::Typical(Duration::from_secs(10))
    );
    assert_eq!(read(r#"{"code":"Arrearage"}"#), Wait::Unknown);
}
