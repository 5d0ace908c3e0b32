use clap::Args;

/// The models whose quota is known, best first: those people fall back to, and a snapshot.
pub(crate) const MODELS: [&str; 4] = [
    "qwen3-max",
    "qwen-plus",
    "qwen-turbo",
    "qwen3-max-2025-09-23",
];

/// What one account may ask of one model. A missing limit does not limit.
#[derive(Args, Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Quota {
    /// Requests a minute, each account; alone it also means N/60 a second
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rpm: Option<u64>,

    /// Requests a second, each account; alone it also means 60 N a minute
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rps: Option<u64>,

    /// Tokens a minute, each account
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) tpm: Option<u64>,

    /// Tokens a second, each account
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) tps: Option<u64>,
}

impl Quota {
    const fn new(rpm: u64, rps: u64, tpm: u64) -> Self {
        Self {
            rpm: Some(rpm),
            rps: Some(rps),
            tpm: Some(tpm),
            tps: None,
        }
    }

    /// The quota of a model that is known here. The first two are what Model Studio publishes, the
    /// others are what the simulator gives them.
    pub(crate) fn known(model: &str) -> Option<Self> {
        match model {
            "qwen3-max-2025-09-23" => Some(Self::new(60, 1, 100_000)),
            "qwen3-max" => Some(Self::new(600, 10, 1_000_000)),
            "qwen-plus" => Some(Self::new(1200, 20, 1_000_000)),
            "qwen-turbo" => Some(Self::new(1200, 20, 5_000_000)),
            _ => None,
        }
    }

    /// The quota of `model`: what is known, with what `self` names put in its place.
    pub(crate) fn of(self, model: &str) -> Self {
        let known = Self::known(model).unwrap_or_default();
        // Half a pair replaced would leave the other half to bind.
        let (rpm, rps) = match (self.rpm, self.rps) {
            (None, None) => (known.rpm, known.rps),
            (Some(rpm), None) => (Some(rpm), Some(rpm.div_ceil(60))),
            (None, Some(rps)) => (Some(rps.saturating_mul(60)), Some(rps)),
            both => both,
        };
        Self {
            rpm,
            rps,
            tpm: self.tpm.or(known.tpm),
            tps: self.tps,
        }
    }

    /// Whether it limits anything.
    pub(crate) fn is_limit(self) -> bool {
        self != Self::default()
    }

    /// Requests a second that one account may send at most in the long run.
    #[expect(clippy::cast_precision_loss, reason = "a quota is far below 2^52")]
    pub(crate) fn rate(self) -> Option<f64> {
        let minute = self.rpm.map(|rpm| rpm as f64 / 60.0);
        let second = self.rps.map(|rps| rps as f64);
        match (minute, second) {
            (Some(minute), Some(second)) => Some(minute.min(second)),
            (one, other) => one.or(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_replace_what_is_published_in_pairs() {
        let none = Quota::default();
        assert_eq!(none.of("qwen3-max"), Quota::new(600, 10, 1_000_000));
        assert_eq!(
            Quota {
                rps: Some(100),
                ..none
            }
            .of("qwen3-max"),
            Quota::new(6000, 100, 1_000_000)
        );
        assert_eq!(
            Quota {
                rpm: Some(90),
                ..none
            }
            .of("qwen3-max"),
            Quota::new(90, 2, 1_000_000)
        );
        assert_eq!(
            Quota {
                tpm: Some(7),
                ..none
            }
            .of("qwen3-max"),
            Quota::new(600, 10, 7)
        );
        assert!(!none.of("somebody-elses").is_limit());
    }

    #[test]
    fn the_smaller_of_minute_and_second_binds() {
        assert_eq!(Quota::new(600, 10, 1).rate(), Some(10.0));
        assert_eq!(Quota::new(60, 10, 1).rate(), Some(1.0));
        assert_eq!(Quota::new(6000, 10, 1).rate(), Some(10.0));
        assert_eq!(Quota::default().rate(), None);
    }
}
