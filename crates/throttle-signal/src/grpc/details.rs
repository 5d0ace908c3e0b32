//! `grpc-status-details-bin`: a `google.rpc.Status` in protobuf, of which three messages matter
//! (`google/rpc/error_details.proto`): `RetryInfo`, `QuotaFailure` and `ErrorInfo`.

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::evidence::Evidence;
use crate::walk::Key;
use crate::when::When;

/// gRPC's base64 comes with and without padding (gRPC over HTTP/2, "Binary-Header").
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Adds what the details say. What cannot be read says nothing.
pub(super) fn testify(details: &[u8], evidence: &mut Evidence<'_>) {
    let Ok(status) = BASE64.decode(details) else {
        return;
    };
    for (number, value) in fields(&status) {
        match (number, value) {
            (2, Value::Bytes(message)) => text(message, evidence),
            (3, Value::Bytes(any)) => detail(any, evidence),
            _ => {}
        }
    }
}

/// Reads one `google.protobuf.Any`.
fn detail(any: &[u8], evidence: &mut Evidence<'_>) {
    let bytes = |wanted| {
        fields(any).find_map(|(number, value)| match value {
            Value::Bytes(bytes) if number == wanted => Some(bytes),
            _ => None,
        })
    };
    let (Some(url), Some(message)) = (bytes(1), bytes(2)) else {
        return;
    };
    if url.ends_with(b"google.rpc.RetryInfo") {
        for (_, value) in fields(message) {
            if let Value::Bytes(duration) = value {
                evidence.wait(0, span(duration).map(When::After));
            }
        }
    } else if url.ends_with(b"google.rpc.QuotaFailure") {
        for (_, value) in fields(message) {
            let Value::Bytes(violation) = value else {
                continue;
            };
            for (number, value) in fields(violation) {
                match (number, value) {
                    // The description, and the metric and the id of the quota.
                    (2 | 4, Value::Bytes(words)) => text(words, evidence),
                    (5, Value::Bytes(id)) => code(id, evidence),
                    _ => {}
                }
            }
        }
    } else if url.ends_with(b"google.rpc.ErrorInfo") {
        for (number, value) in fields(message) {
            match (number, value) {
                (1, Value::Bytes(reason)) => code(reason, evidence),
                (3, Value::Bytes(entry)) => metadata(entry, evidence),
                _ => {}
            }
        }
    }
}

/// Reads one entry of the metadata of an `ErrorInfo` as the same in JSON is read.
fn metadata(entry: &[u8], evidence: &mut Evidence<'_>) {
    let text = |wanted| {
        fields(entry).find_map(|(number, value)| match value {
            Value::Bytes(bytes) if number == wanted => std::str::from_utf8(bytes).ok(),
            _ => None,
        })
    };
    if let (Some(key), Some(value)) = (text(1), text(2)) {
        evidence.string(Key::of(key), Cow::Owned(value.to_owned()));
    }
}

/// Reads a `google.protobuf.Duration`. A negative one is none.
fn span(duration: &[u8]) -> Option<Duration> {
    let (mut seconds, mut nanos) = (0, 0);
    for (number, value) in fields(duration) {
        match (number, value) {
            (1, Value::Varint(value)) => seconds = value,
            (2, Value::Varint(value)) => nanos = u32::try_from(value).ok()?,
            _ => {}
        }
    }
    let seconds = i64::try_from(seconds).ok()?;
    Duration::from_secs(seconds.unsigned_abs()).checked_add(Duration::from_nanos(nanos.into()))
}

fn text(bytes: &[u8], evidence: &mut Evidence<'_>) {
    evidence.text(Cow::Owned(String::from_utf8_lossy(bytes).into_owned()));
}

fn code(bytes: &[u8], evidence: &mut Evidence<'_>) {
    evidence.code(Cow::Owned(String::from_utf8_lossy(bytes).into_owned()));
}

#[derive(Clone, Copy)]
enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    Fixed,
}

/// The fields of a message, up to the first that is not well formed.
fn fields(mut message: &[u8]) -> impl Iterator<Item = (u64, Value<'_>)> {
    std::iter::from_fn(move || {
        let (key, rest) = varint(message)?;
        let (value, rest) = match key & 7 {
            0 => {
                let (value, rest) = varint(rest)?;
                (Value::Varint(value), rest)
            }
            1 => (Value::Fixed, rest.get(8..)?),
            2 => {
                let (length, rest) = varint(rest)?;
                let (bytes, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
                (Value::Bytes(bytes), rest)
            }
            5 => (Value::Fixed, rest.get(4..)?),
            _ => return None,
        };
        message = rest;
        Some((key >> 3, value))
    })
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (at, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7F).checked_shl(u32::try_from(at).ok()? * 7)?;
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(at + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut field = vec![number << 3 | 2, u8::try_from(bytes.len()).unwrap()];
        field.extend_from_slice(bytes);
        field
    }

    fn any(name: &str, message: &[u8]) -> Vec<u8> {
        let url = format!("type.googleapis.com/google.rpc.{name}");
        field(3, &[field(1, url.as_bytes()), field(2, message)].concat())
    }

    fn read(status: &[u8]) -> Evidence<'static> {
        let mut evidence = Evidence::default();
        testify(BASE64.encode(status).as_bytes(), &mut evidence);
        evidence
    }

    #[test]
    fn reads_what_the_details_state() {
        // 34.5 s: seconds = 34, nanos = 500 000 000.
        let duration = [0x08, 34, 0x10, 0x80, 0xCA, 0xB5, 0xEE, 0x01];
        let violation = [field(2, b"too many"), field(5, b"RequestsPerMinute")].concat();
        let status = [
            vec![0x08, 8],
            field(2, b"exhausted"),
            any("RetryInfo", &field(1, &duration)),
            any("QuotaFailure", &field(1, &violation)),
            any(
                "ErrorInfo",
                &[
                    field(1, b"RATE_LIMIT_EXCEEDED"),
                    field(
                        3,
                        &[field(1, b"quota_limit_value"), field(2, b"0")].concat(),
                    ),
                ]
                .concat(),
            ),
        ]
        .concat();
        let evidence = read(&status);
        assert_eq!(
            evidence.waits,
            [(0, When::After(Duration::from_millis(34_500)))]
        );
        assert!(evidence.codes.contains(&"RequestsPerMinute".into()));
        assert!(evidence.codes.contains(&"RATE_LIMIT_EXCEEDED".into()));
        assert!(evidence.texts.contains(&"too many".into()));
        assert!(evidence.nothing_allowed);
    }

    #[test]
    fn a_negative_delay_is_none() {
        let minus_one = [
            0x08, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01,
        ];
        assert_eq!(read(&any("RetryInfo", &field(1, &minus_one))).waits, []);
    }

    proptest! {
        #[test]
        fn survives_every_message(bytes: Vec<u8>) {
            read(&bytes);
            testify(&bytes, &mut Evidence::default());
        }
    }
}
