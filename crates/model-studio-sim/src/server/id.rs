use std::fmt;

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

use super::random::mix;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What names a request: a UUID in form.
#[derive(Clone, Copy, Debug)]
pub(super) struct Id(u64, u64);

impl Id {
    pub(super) const fn new(seed: u64, number: u64) -> Self {
        let high = mix(seed, number);
        Self(high, mix(high, 1))
    }

    pub(super) fn mark(self, headers: &mut HeaderMap) {
        if let Ok(value) = HeaderValue::try_from(self.to_string()) {
            headers.insert(X_REQUEST_ID, value);
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(high, low) = *self;
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xffff,
            low >> 48,
            low & 0xffff_ffff_ffff,
        )
    }
}
