use std::time::Duration;

/// How long to stay away, counted from the moment the response was read.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Wait {
    /// The response said so. A floor: coming back sooner earns another refusal.
    Stated(Duration),

    /// The response said nothing; this is what the provider's limits of this kind usually take.
    Typical(Duration),

    /// Nothing is known.
    #[default]
    Unknown,
}

impl Wait {
    /// The stated wait, if there is one.
    #[must_use]
    pub const fn stated(self) -> Option<Duration> {
        match self {
            Self::Stated(wait) => Some(wait),
            Self::Typical(_) | Self::Unknown => None,
        }
    }

    /// The wait, stated or typical.
    #[must_use]
    pub const fn known(self) -> Option<Duration> {
        match self {
            Self::Stated(wait) | Self::Typical(wait) => Some(wait),
            Self::Unknown => None,
        }
    }
}
