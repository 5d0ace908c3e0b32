//! Whatever strangers send: no panic, and a refusal stays one.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use proptest::prelude::*;
use throttle_signal::{Profile, Reader};

const NAMES: [&str; 14] = [
    "retry-after",
    "retry-after-ms",
    "x-ms-retry-after-ms",
    "date",
    "x-ratelimit-reset",
    "x-ratelimit-remaining",
    "x-ratelimit-reset-tokens",
    "anthropic-ratelimit-unified-5h-reset",
    "ratelimit",
    "ratelimit-policy",
    "grpc-status",
    "grpc-message",
    "grpc-retry-pushback-ms",
    "grpc-status-details-bin",
];

fn headers() -> impl Strategy<Value = HeaderMap> {
    let value = prop_oneof![
        "[ -~]{0,40}",
        "[0-9.,;=:\"rtqw +-]{0,30}",
        "(\"[a-z]\";r=[0-9];t=[0-9]{1,4},?){0,3}",
        any::<i64>().prop_map(|number| number.to_string()),
    ];
    proptest::collection::vec((proptest::sample::select(&NAMES[..]), value), 0..6).prop_map(
        |pairs| {
            let mut map = HeaderMap::new();
            for (name, value) in pairs {
                map.append(
                    HeaderName::from_static(name),
                    HeaderValue::from_str(&value).unwrap(),
                );
            }
            map
        },
    )
}

/// Text that is likely to come near the paths of the parsers.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        "\\PC{0,12}",
        proptest::sample::select(vec![
            "{\"error\":",
            "{\"code\":",
            "\"message\":\"",
            "[",
            "]",
            "}",
            "\"",
            "{'code': '",
            "data: ",
            "event: error\n",
            "\n\n",
            "try again in ",
            "retry after ",
            "9m38.016s",
            "02:14:00",
            "limit: ",
            "Requested ",
            "1e400",
            "-",
            "秒后",
            "(1008)",
            "[1305]",
            "resets at 2026-05-15T15:00:00Z",
            "(actual/limit): 3/2",
            "\\\"",
            "\u{feff}",
        ])
        .prop_map(str::to_owned),
    ];
    prop_oneof![
        proptest::collection::vec(word, 0..24).prop_map(|words| words.concat().into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..200),
    ]
}

proptest! {
    #[test]
    fn a_429_stays_a_refusal_unless_a_rule_says_otherwise(headers in headers(), body in body()) {
        let mut headers = headers;
        headers.remove("grpc-status");
        let read = Reader::new().classify("api.example.com", StatusCode::TOO_MANY_REQUESTS, &headers, &body);
        prop_assert!(read.is_some());
    }

    #[test]
    fn nothing_makes_a_reader_panic(
        headers in headers(),
        body in body(),
        status in 100_u16..1000,
        profile in proptest::sample::select(Profile::names().collect::<Vec<_>>()),
    ) {
        let reader = Reader::new().profile(Profile::named(profile).unwrap());
        let status = StatusCode::from_u16(status).unwrap();
        let throttle = reader.classify("", status, &headers, &body);
        if let Some(throttle) = throttle {
            // A wait can always be added to the time of day.
            let wait = throttle.wait().known().unwrap_or_default();
            prop_assert!(tokio::time::Instant::now().checked_add(wait).is_some());
            prop_assert!(!throttle.to_string().is_empty());
        }
    }
}
