use serde::{Deserialize, Serialize};

/// What a request asks of a quota when it arrives.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Ask {
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// The most tokens that the answer may have.
    pub max_tokens: u64,
}

impl Ask {
    /// A prompt of so many tokens, whose answer has at most `max_tokens`.
    #[must_use]
    pub const fn new(prompt_tokens: u64, max_tokens: u64) -> Self {
        Self {
            prompt_tokens,
            max_tokens,
        }
    }
}

/// What a request has used when it is over.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens of the answer.
    pub completion_tokens: u64,
}

impl Usage {
    /// So many tokens read, so many written.
    #[must_use]
    pub const fn new(prompt_tokens: u64, completion_tokens: u64) -> Self {
        Self {
            prompt_tokens,
            completion_tokens,
        }
    }

    /// Both together.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.prompt_tokens.saturating_add(self.completion_tokens)
    }
}

/// When and how much a request is charged in tokens.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum Charging {
    /// The prompt and all of `max_tokens` on arrival, and nothing given back: Azure `OpenAI`.
    MaxUpFront,
    /// The prompt and all of `max_tokens` on arrival; at the end the charge is corrected to what
    /// was used, in the place where it was made: Amazon Bedrock.
    MaxThenRefund,
    /// The prompt on arrival, the answer when it is complete: Anthropic.
    PromptThenRest,
    /// Everything when the answer is complete: AI gateways, and the default here. A request passes
    /// while anything at all is left, so requests in flight may overshoot.
    #[default]
    AtEnd,
}

impl Charging {
    /// What is charged on arrival.
    pub(super) const fn up_front(self, ask: Ask) -> u64 {
        match self {
            Self::MaxUpFront | Self::MaxThenRefund => {
                ask.prompt_tokens.saturating_add(ask.max_tokens)
            }
            Self::PromptThenRest => ask.prompt_tokens,
            Self::AtEnd => 0,
        }
    }
}
