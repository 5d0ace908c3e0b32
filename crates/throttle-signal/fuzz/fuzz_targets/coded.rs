//! A body that is still compressed. Its first byte says how.

#![no_main]

use http::header::{CONTENT_ENCODING, HeaderValue};
use http::{HeaderMap, StatusCode};
use libfuzzer_sys::fuzz_target;
use throttle_signal::Reader;

fuzz_target!(|data: &[u8]| {
    let Some((first, body)) = data.split_first() else { return };
    let codings = ["gzip", "deflate", "br", "zstd", "br, gzip", "gzip, zstd"];
    let coding = HeaderValue::from_static(codings[usize::from(*first) % codings.len()]);
    let headers = HeaderMap::from_iter([(CONTENT_ENCODING, coding)]);
    let _ = Reader::new().classify("", StatusCode::TOO_MANY_REQUESTS, &headers, body);
});
