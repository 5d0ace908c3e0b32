use crate::Unit;

/// What one request takes of a quota.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Cost {
    /// How many requests it counts as; 1 for nearly all.
    pub requests: u64,

    /// Tokens of the prompt.
    pub input: u64,

    /// Tokens of the answer.
    pub output: u64,
}

impl Cost {
    /// One request without tokens.
    pub const REQUEST: Self = Self {
        requests: 1,
        input: 0,
        output: 0,
    };

    /// One request with so many tokens in and out.
    #[must_use]
    pub const fn tokens(input: u64, output: u64) -> Self {
        Self {
            requests: 1,
            input,
            output,
        }
    }

    /// How much of `unit` it takes.
    #[must_use]
    #[inline]
    pub const fn of(self, unit: Unit) -> u64 {
        match unit {
            Unit::Requests => self.requests,
            Unit::Tokens => self.input.saturating_add(self.output),
            Unit::InputTokens => self.input,
            Unit::OutputTokens => self.output,
        }
    }

    pub(crate) const fn plus(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_add(other.requests),
            input: self.input.saturating_add(other.input),
            output: self.output.saturating_add(other.output),
        }
    }

    pub(crate) const fn minus(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(other.requests),
            input: self.input.saturating_sub(other.input),
            output: self.output.saturating_sub(other.output),
        }
    }
}

/// When and how an upstream charges tokens. Estimates must copy it: reserving the mean where
/// `max_tokens` is charged up front earns refusals for two requests of three.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Charging {
    /// The prompt and `max_tokens` when the request arrives, nothing given back: Azure OpenAI.
    MaxUpFront,

    /// The same, and what was not used is given back at the end: Bedrock.
    MaxThenRefund,

    /// The prompt when the request arrives, the answer when it is complete: Model Studio, AI
    /// gateways.
    #[default]
    PostPaid,
}
