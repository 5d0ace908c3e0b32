//! Bodies, by the profile the first byte chooses: a 429 is refused whatever its body says.

#![no_main]

use http::{HeaderMap, StatusCode};
use libfuzzer_sys::fuzz_target;
use throttle_signal::{Profile, Reader};

fuzz_target!(|data: &[u8]| {
    let Some((first, body)) = data.split_first() else {
        return;
    };
    let names: Vec<_> = Profile::names().collect();
    let name = names[usize::from(*first) % names.len()];
    let reader = Reader::new().profile(Profile::named(name).unwrap_or_else(Profile::generic));
    for status in [StatusCode::OK, StatusCode::TOO_MANY_REQUESTS, StatusCode::FORBIDDEN] {
        if let Some(throttle) = reader.classify("", status, &HeaderMap::new(), body) {
            assert!(!throttle.to_string().is_empty());
        }
    }
});
