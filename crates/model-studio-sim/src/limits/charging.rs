use serde::{Deserialize, Serialize};

use super::ask::Ask;

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
