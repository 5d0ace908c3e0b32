//! Conversions between nanoseconds, counts and rates. All saturate.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "casts from floats saturate, and nothing here needs more than 52 bits"
)]

use std::time::Duration;

/// A duration in whole nanoseconds; 584 years at most.
#[inline]
pub(crate) const fn nanos(duration: Duration) -> u64 {
    let nanos = duration.as_nanos();
    if nanos > u64::MAX as u128 {
        u64::MAX
    } else {
        nanos as u64
    }
}

/// So many times `each` nanoseconds, or tokens.
pub(crate) fn times(count: u64, each: f64) -> u64 {
    (count as f64 * each) as u64
}

/// A quotient, in parts of 2^16.
pub(crate) fn parts(whole: u64, by: u64) -> u64 {
    let parts = (u128::from(whole) << 16) / u128::from(by.max(1));
    u64::try_from(parts).unwrap_or(u64::MAX)
}

/// So many times a quotient in parts of 2^16.
#[inline]
pub(crate) fn of_parts(count: u64, parts: u64) -> u64 {
    let times = (u128::from(count) * u128::from(parts)) >> 16;
    u64::try_from(times).unwrap_or(u64::MAX)
}

/// The larger over the smaller, or whatever share that is.
pub(crate) fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

/// A count as a float.
pub(crate) const fn float(count: u64) -> f64 {
    count as f64
}

/// The same in single precision, which is enough for shares.
pub(crate) const fn single(share: f64) -> f32 {
    share as f32
}
