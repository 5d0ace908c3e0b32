use std::time::Duration;

use crate::num;

/// So many of a unit in any window of this length.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limit {
    unit: Unit,
    most: u64,

    /// In nanoseconds.
    window: u64,
}

/// What a limit counts.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Unit {
    /// Requests, refused ones included.
    Requests,

    /// Tokens in and out together.
    Tokens,

    /// Tokens of the prompt.
    InputTokens,

    /// Tokens of the answer.
    OutputTokens,
}

/// Longer than the period of any known quota, a month: an upstream that states more does not mean it.
pub(crate) const LONGEST: Duration = Duration::from_secs(32 * 24 * 3600);

/// A window, in nanoseconds, below which timers mean nothing.
const SHORTEST: u64 = 1_000_000;

impl Limit {
    pub(crate) const fn new(unit: Unit, most: u64, window: Duration) -> Self {
        let window = num::nanos(window);
        Self {
            unit,
            most: if most == 0 { 1 } else { most },
            window: if window < SHORTEST { SHORTEST } else { window },
        }
    }

    /// Returns what is counted.
    #[must_use]
    pub const fn unit(&self) -> Unit {
        self.unit
    }

    /// Returns the most that fits a window, from 1.
    #[must_use]
    pub const fn most(&self) -> u64 {
        self.most
    }

    /// Returns the length of the window, from a millisecond.
    #[must_use]
    pub const fn window(&self) -> Duration {
        Duration::from_nanos(self.window)
    }

    pub(crate) const fn nanos(&self) -> u64 {
        self.window
    }
}

impl Unit {
    /// Whether it counts tokens of any kind.
    #[must_use]
    pub const fn is_tokens(self) -> bool {
        !matches!(self, Self::Requests)
    }

    /// The word for machines, in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::InputTokens => "input_tokens",
            Self::OutputTokens => "output_tokens",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Quota;

    #[test]
    fn an_invalid_limit_does_not_exist() {
        let quota = Quota::new().limit(Unit::Tokens, 0, Duration::ZERO);
        assert_eq!(quota.limits()[0].most(), 1);
        assert_eq!(quota.limits()[0].window(), Duration::from_millis(1));
    }
}
