//! Conversions to and from the doubles that scripts reckon with. All saturate.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "casts from floats saturate, and 53 bits are enough for microseconds"
)]

/// A count as a double.
pub(super) const fn count(count: u64) -> f64 {
    count as f64
}

/// A double as a count.
pub(super) const fn cast(double: f64) -> u64 {
    double as u64
}

/// A double in single precision.
pub(super) const fn single(double: f64) -> f32 {
    double as f32
}

/// Nanoseconds as microseconds.
pub(super) const fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1000.0
}

/// Microseconds as nanoseconds.
pub(super) const fn nanos(micros: f64) -> u64 {
    (micros * 1000.0) as u64
}
