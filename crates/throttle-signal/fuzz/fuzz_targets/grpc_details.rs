//! `grpc-status-details-bin`, as it comes and as the base64 of what comes.

#![no_main]

use http::{HeaderMap, HeaderValue, StatusCode};
use libfuzzer_sys::fuzz_target;
use throttle_signal::Reader;

fuzz_target!(|data: &[u8]| {
    let encoded = encode(data);
    for value in [data, encoded.as_bytes()] {
        let Ok(value) = HeaderValue::from_bytes(value) else {
            continue;
        };
        let mut headers = HeaderMap::new();
        headers.insert("grpc-status", HeaderValue::from_static("8"));
        headers.insert("grpc-status-details-bin", value);
        let throttle = Reader::new().classify("", StatusCode::OK, &headers, b"");
        assert!(throttle.is_some());
    }
});

/// Base64 without padding.
fn encode(data: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in data.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - chunk.len()));
        for sextet in 0..=chunk.len() {
            let index = bits >> (18 - 6 * sextet) & 63;
            text.push(char::from(ALPHABET[index as usize]));
        }
    }
    text
}
