//! Streams of events: cut anywhere, they are read as far as they come.

#![no_main]

use http::{HeaderMap, StatusCode};
use libfuzzer_sys::fuzz_target;
use throttle_signal::Reader;

fuzz_target!(|data: &[u8]| {
    let reader = Reader::new();
    let mut stream = b"data: ".to_vec();
    stream.extend_from_slice(data);
    for cut in [stream.len(), stream.len() / 2] {
        let _ = reader.classify("api.openai.com", StatusCode::OK, &HeaderMap::new(), &stream[..cut]);
    }
});
