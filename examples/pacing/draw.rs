use std::f64::consts::TAU;
use std::time::Duration;

/// Chance that does not depend on what a client does with it.
///
/// Each quantity has its own stream, keyed by the run, the job and the attempt. So job 17 has the
/// same size and its first attempt the same delay whichever client sends it, and whenever.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Draw {
    Arrival,
    Phase,
    Size,
    Answer,
    Service,
    Start,
    Tenant,
    There(u32),
    Back(u32),
    Backoff(u32),
}

impl Draw {
    pub(crate) fn of(self, seed: u64, job: u64) -> fastrand::Rng {
        let (stream, attempt) = match self {
            Self::Arrival => (0, 0),
            Self::Phase => (1, 0),
            Self::Size => (2, 0),
            Self::Answer => (3, 0),
            Self::Service => (4, 0),
            Self::Start => (5, 0),
            Self::Tenant => (6, 0),
            Self::There(attempt) => (7, attempt),
            Self::Back(attempt) => (8, attempt),
            Self::Backoff(attempt) => (9, attempt),
        };
        let key = mix(mix(mix(seed) ^ stream) ^ job) ^ u64::from(attempt);
        fastrand::Rng::with_seed(mix(key))
    }
}

/// A log-normal distribution: what delays and text lengths look like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogNormal {
    pub(crate) median: f64,
    pub(crate) sigma: f64,
}

impl LogNormal {
    pub(crate) fn sample(self, rng: &mut fastrand::Rng) -> f64 {
        // Box and Muller; 1 − u keeps the logarithm's argument above zero.
        let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
        self.median * (self.sigma * radius * (TAU * rng.f64()).cos()).exp()
    }

    /// In seconds, as whole microseconds.
    pub(crate) fn duration(self, rng: &mut fastrand::Rng) -> Duration {
        micros(self.sample(rng))
    }
}

/// The time to the next arrival of a Poisson process with so many a second.
pub(crate) fn exponential(rate: f64, rng: &mut fastrand::Rng) -> Duration {
    micros(-(1.0 - rng.f64()).ln() / rate)
}

fn micros(seconds: f64) -> Duration {
    Duration::from_micros(Duration::from_secs_f64(seconds).as_micros() as u64)
}

/// `SplitMix64`'s finaliser.
const fn mix(value: u64) -> u64 {
    let z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lognormal_has_its_median_and_mean() {
        let distribution = LogNormal {
            median: 500.0,
            sigma: 0.8,
        };
        let mut samples: Vec<_> = (0..100_000)
            .map(|job| distribution.sample(&mut Draw::Size.of(1, job)))
            .collect();
        samples.sort_by(f64::total_cmp);
        let mean = samples.iter().sum::<f64>() / 100_000.0;
        assert!(
            (samples[50_000] - 500.0).abs() < 10.0,
            "{}",
            samples[50_000]
        );
        assert!((mean - 688.6).abs() < 10.0, "{mean}");
    }

    #[test]
    fn streams_attempts_jobs_and_seeds_are_apart() {
        let first = Draw::There(0).of(1, 1).u64(..);
        assert_eq!(first, Draw::There(0).of(1, 1).u64(..));
        for other in [
            Draw::Back(0).of(1, 1),
            Draw::There(1).of(1, 1),
            Draw::There(0).of(1, 2),
            Draw::There(0).of(2, 1),
        ] {
            assert_ne!(first, { other }.u64(..));
        }
    }
}
