//! A header a line, `name: value`: every form of a wait and of a limit.

#![no_main]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use libfuzzer_sys::fuzz_target;
use throttle_signal::Reader;

fn clock() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_790_625_600)
}

fuzz_target!(|data: &[u8]| {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n').take(64) {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let name = parts.next().and_then(|name| HeaderName::from_bytes(name).ok());
        let value = parts.next().and_then(|value| HeaderValue::from_bytes(value.trim_ascii()).ok());
        if let (Some(name), Some(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    let reader = Reader::new().clock(clock);
    let throttle = reader.classify("", StatusCode::TOO_MANY_REQUESTS, &headers, b"");
    if let Some(wait) = throttle.and_then(|throttle| throttle.wait().known()) {
        // Whoever waits adds it to the time of day.
        assert!(wait <= Duration::from_secs(10 * 365 * 24 * 3600));
    }
});
