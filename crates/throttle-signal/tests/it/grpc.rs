//! gRPC: the status in the headers, the pushback, the message.

use std::time::Duration;

use throttle_signal::{Kind, Wait};

use crate::classify;

const TYPE: (&str, &str) = ("content-type", "application/grpc");

#[test]
fn statuses_that_refuse_are_told_from_those_that_fail() {
    for (status, expected) in [
        ("0", None),
        ("2", None),
        ("7", None),
        ("8", Some(Kind::RequestRate)),
        ("13", None),
        ("14", Some(Kind::Overloaded)),
        ("16", Some(Kind::Credential)),
        ("x", None),
    ] {
        let throttle = classify(
            "grpc.example.com",
            200,
            &[TYPE, ("grpc-status", status)],
            "",
        );
        assert_eq!(
            throttle.map(|throttle| throttle.kind()),
            expected,
            "{status}"
        );
    }
}

#[test]
fn the_message_is_read_decoded() {
    let pairs = [
        TYPE,
        ("grpc-status", "8"),
        ("grpc-message", "too many tokens%3A try again in 3s%"),
    ];
    let throttle = classify("grpc.example.com", 200, &pairs, "").unwrap();
    assert_eq!(throttle.kind(), Kind::TokenRate);
    assert_eq!(throttle.wait(), Wait::Stated(Duration::from_secs(3)));
}

#[test]
fn a_pushback_is_exact_and_a_bad_one_forbids() {
    for (pushback, wait, retry) in [
        ("1500", Wait::Stated(Duration::from_millis(1500)), true),
        ("0", Wait::Stated(Duration::ZERO), true),
        ("-1", Wait::Unknown, false),
        ("soon", Wait::Unknown, false),
        ("", Wait::Unknown, false),
    ] {
        let pairs = [
            TYPE,
            ("grpc-status", "8"),
            ("grpc-retry-pushback-ms", pushback),
        ];
        let throttle = classify("grpc.example.com", 200, &pairs, "").unwrap();
        assert_eq!(
            (throttle.wait(), throttle.retry()),
            (wait, retry),
            "{pushback}"
        );
    }
}

#[test]
fn a_429_met_by_a_grpc_client_is_read_as_one() {
    let throttle = classify("grpc.example.com", 429, &[("retry-after", "3")], "").unwrap();
    assert_eq!(throttle.kind(), Kind::RequestRate);
    assert_eq!(throttle.wait(), Wait::Stated(Duration::from_secs(3)));
}

#[test]
fn a_message_that_is_too_large_is_no_refusal() {
    for host in ["grpc.example.com", "speech.googleapis.com"] {
        let pairs = [
            TYPE,
            ("grpc-status", "8"),
            ("grpc-message", "received message larger than max (5 vs. 4)"),
        ];
        assert_eq!(classify(host, 200, &pairs, ""), None, "{host}");
    }
}
