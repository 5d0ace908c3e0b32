/// What is relayed: an endpoint of OpenAI's API, below the base URL.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Endpoint {
    Chat,
    Responses,
    Completions,
    Embeddings,
}

impl Endpoint {
    pub(crate) const COUNT: usize = 4;

    pub(crate) const ALL: [Self; Self::COUNT] = [
        Self::Chat,
        Self::Responses,
        Self::Completions,
        Self::Embeddings,
    ];

    /// Its path after that of the base URL, without a slash.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Chat => "chat/completions",
            Self::Responses => "responses",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
        }
    }
}
