use std::time::Duration;

use super::random::{fraction, mix};

/// How long an answer takes: from the arrival of a request that passes to the first byte of its answer.
///
/// Refusals are answered at once. Drawn anew for every request, in the same order for the same seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Latency(Shape);

#[derive(Clone, Debug, PartialEq)]
enum Shape {
    Fixed(Duration),
    Uniform(Duration, Duration),
    LogNormal(Duration, f64),
}

impl Latency {
    /// No latency of its own.
    pub const NONE: Self = Self::fixed(Duration::ZERO);

    /// Always the same.
    #[must_use]
    pub const fn fixed(latency: Duration) -> Self {
        Self(Shape::Fixed(latency))
    }

    /// Anything from `low` up to `high`, with the same likelihood. The order does not matter.
    #[must_use]
    pub fn uniform(low: Duration, high: Duration) -> Self {
        Self(Shape::Uniform(low.min(high), low.max(high)))
    }

    /// A long tail: half are below `median`, and with a `sigma` of 0.5 one in a hundred takes more
    /// than three times as long. A negative or unordered `sigma` counts as 0.
    #[must_use]
    pub fn log_normal(median: Duration, sigma: f64) -> Self {
        Self(Shape::LogNormal(median, sigma.max(0.0)))
    }

    pub(super) fn draw(&self, seed: u64) -> Duration {
        match self.0 {
            Shape::Fixed(latency) => latency,
            Shape::Uniform(low, high) => {
                low + high.saturating_sub(low).mul_f64(fraction(mix(seed, 1)))
            }
            Shape::LogNormal(median, sigma) => {
                let radius = (-2.0 * fraction(mix(seed, 1)).ln()).sqrt();
                let normal = radius * (std::f64::consts::TAU * fraction(mix(seed, 2))).cos();
                let seconds = median.as_secs_f64() * (sigma * normal).exp();
                Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
            }
        }
    }
}

impl From<Duration> for Latency {
    fn from(latency: Duration) -> Self {
        Self::fixed(latency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(latency: &Latency) -> Vec<Duration> {
        let mut draws: Vec<_> = (0..1000)
            .map(|number| latency.draw(mix(7, number)))
            .collect();
        draws.sort_unstable();
        draws
    }

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn uniform_latency_lies_between_its_bounds_in_whatever_order() {
        for latency in [
            Latency::uniform(ms(20), ms(80)),
            Latency::uniform(ms(80), ms(20)),
        ] {
            let draws = draws(&latency);
            assert!(draws[0] >= ms(20) && draws[0] < ms(22), "{:?}", draws[0]);
            assert!(
                draws[999] <= ms(80) && draws[999] > ms(78),
                "{:?}",
                draws[999]
            );
            assert!(
                draws[500] > ms(46) && draws[500] < ms(54),
                "{:?}",
                draws[500]
            );
        }
    }

    #[test]
    fn log_normal_latency_has_its_median_and_a_long_tail() {
        let draws = draws(&Latency::log_normal(ms(40), 0.5));
        assert!(
            draws[500] > ms(37) && draws[500] < ms(43),
            "{:?}",
            draws[500]
        );
        assert!(
            draws[990] > ms(100) && draws[990] < ms(170),
            "{:?}",
            draws[990]
        );
        let constant = Latency::log_normal(ms(40), f64::NAN).draw(1);
        assert_eq!(constant, ms(40));
        let endless = Latency::log_normal(Duration::MAX, 9.0);
        assert!((0..100).any(|number| endless.draw(number) == Duration::MAX));
    }
}
