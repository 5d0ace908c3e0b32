use crate::Unit;

/// A cost by the numbers of units. What has no number is 0; there are as many as a few bits can name.
pub(crate) type Costs = [u64; 8];

/// Not the number of any unit.
const NOTHING: u8 = 7;

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

    /// How much of each unit it takes.
    #[inline]
    pub(crate) const fn by_unit(self) -> Costs {
        let mut costs = [0; 8];
        costs[Unit::Requests as usize] = self.requests;
        costs[Unit::Tokens as usize] = self.input.saturating_add(self.output);
        costs[Unit::InputTokens as usize] = self.input;
        costs[Unit::OutputTokens as usize] = self.output;
        costs
    }

    /// Which of the costs [by unit](Self::by_unit) a limit of `unit` counts when the request is sent,
    /// and which when its answer is complete.
    pub(crate) const fn parts_of(unit: Unit, charging: Charging) -> (u8, u8) {
        match (charging, unit) {
            (Charging::PostPaid, Unit::Tokens) => {
                (Unit::InputTokens as u8, Unit::OutputTokens as u8)
            }
            (Charging::PostPaid, Unit::OutputTokens) => (NOTHING, Unit::OutputTokens as u8),
            (_, unit) => (unit as u8, NOTHING),
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
