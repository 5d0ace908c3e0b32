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
