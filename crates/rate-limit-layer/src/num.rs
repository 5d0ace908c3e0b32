//! Conversions between nanoseconds, counts and rates. All saturate.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "casts from floats saturate, and nothing here needs more than 52 bits"
)]

use std::time::Duration;

/// A duration in whole nanoseconds; 584 years at most.
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
