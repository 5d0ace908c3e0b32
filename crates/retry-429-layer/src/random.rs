use std::hash::{BuildHasher, RandomState};

/// A number from 0 up to but not including 1, from the seed the standard library draws for its
/// hash maps. Good enough to spread clients out; not for secrets.
pub(crate) fn fraction() -> f64 {
    of_bits((RandomState::new().hash_one(()) >> 32) as u32)
}

/// `bits` out of 2^32: never 1, at which the longest `Duration` would overflow.
fn of_bits(bits: u32) -> f64 {
    f64::from(bits) / 4_294_967_296.0
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_largest_fraction_of_the_longest_delay_does_not_overflow() {
        assert!(Duration::MAX.mul_f64(of_bits(u32::MAX)) < Duration::MAX);
    }
}
