//! Tests through the public API, in one binary.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bodies;
mod exchange;
mod grpc;
mod profiles;
mod reading;
mod stream;
mod survival;
mod vectors;
mod waits;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use throttle_signal::{Reader, Throttle};

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(
            HeaderName::from_static(name),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
    }
    map
}

/// What a response with these parts is, dates measured by its own clock only.
fn classify(
    host: &str,
    status: u16,
    pairs: &[(&'static str, &str)],
    body: &str,
) -> Option<Throttle> {
    let status = StatusCode::from_u16(status).unwrap();
    Reader::new()
        .without_clock()
        .classify(host, status, &headers(pairs), body.as_bytes())
}
