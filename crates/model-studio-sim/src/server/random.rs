/// A well-mixed number for every pair: what makes every choice of the simulator repeatable.
pub(super) const fn mix(seed: u64, number: u64) -> u64 {
    // The finisher of SplitMix64.
    let mut z = seed.wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A number in (0, 1) out of 32 of its bits.
pub(super) fn fraction(bits: u64) -> f64 {
    let [a, b, c, d, ..] = bits.to_be_bytes();
    (f64::from(u32::from_be_bytes([a, b, c, d])) + 0.5) / 4_294_967_296.0
}
