#[cfg(feature = "grpc-details")]
mod details;

use std::borrow::Cow;
use std::time::Duration;

use http::HeaderMap;

use crate::evidence::Evidence;
use crate::when::LONGEST;

/// How a gRPC call ended, where that was not well.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    code: u16,
    message: String,
    pushback: Pushback,
    #[cfg(feature = "grpc-details")]
    details: Vec<u8>,
}

/// `grpc-retry-pushback-ms` (gRFC A6): a wait, or, negative or unreadable, never again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Pushback {
    None,
    Wait(Duration),
    Never,
}

impl Verdict {
    /// Reads the trailers, or the headers of a trailers-only answer. `None` if neither has a status
    /// or all is well.
    pub(crate) fn read(headers: &HeaderMap, trailers: Option<&HeaderMap>) -> Option<Self> {
        let fields = trailers
            .filter(|trailers| trailers.contains_key("grpc-status"))
            .unwrap_or(headers);
        let code = fields
            .get("grpc-status")?
            .to_str()
            .ok()?
            .trim()
            .parse()
            .ok()?;
        if code == 0 {
            return None;
        }
        let text = |name| fields.get(name).and_then(|value| value.to_str().ok());
        let pushback = match fields.get("grpc-retry-pushback-ms") {
            None => Pushback::None,
            Some(value) => match value
                .to_str()
                .ok()
                .and_then(|value| value.trim().parse().ok())
            {
                Some(millis) => Pushback::Wait(Duration::from_millis(millis).min(LONGEST)),
                None => Pushback::Never,
            },
        };
        Some(Self {
            code,
            message: text("grpc-message")
                .map(percent_decoded)
                .unwrap_or_default(),
            pushback,
            #[cfg(feature = "grpc-details")]
            details: text("grpc-status-details-bin").unwrap_or_default().into(),
        })
    }

    /// The HTTP status that means the same, for the rules; `None` for codes that are no refusal.
    pub(crate) fn as_http(&self) -> Option<u16> {
        match self.code {
            7 => Some(403),  // PERMISSION_DENIED
            8 => Some(429),  // RESOURCE_EXHAUSTED
            14 => Some(503), // UNAVAILABLE
            16 => Some(401), // UNAUTHENTICATED
            _ => None,
        }
    }

    pub(crate) fn testify(&self, evidence: &mut Evidence<'_>) {
        evidence.text(Cow::Owned(self.message.clone()));
        #[cfg(feature = "grpc-details")]
        details::testify(&self.details, evidence);
    }

    pub(crate) fn pushback(&self) -> Option<Duration> {
        match self.pushback {
            Pushback::Wait(wait) => Some(wait),
            Pushback::None | Pushback::Never => None,
        }
    }

    pub(crate) fn refuses_retry(&self) -> bool {
        self.pushback == Pushback::Never
    }
}

/// `grpc-message` is percent-encoded. What is not well encoded stands for itself.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = (*first == b'%').then(|| after.get(..2)).flatten();
        let byte =
            escaped.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        if let Some(byte) = byte {
            bytes.push(byte);
            rest = after.get(2..).unwrap_or_default();
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
