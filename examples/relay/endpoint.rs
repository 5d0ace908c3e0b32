use http::Uri;
use http::uri::PathAndQuery;

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

    /// The one of this path, after that of the base URL and a slash.
    pub(crate) fn of(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.path() == path)
    }

    /// Its path after that of the base URL, as a URL, with a query.
    pub(crate) fn with_query(self, query: Option<&str>) -> Uri {
        let path = match self {
            Self::Chat => PathAndQuery::from_static("/chat/completions"),
            Self::Responses => PathAndQuery::from_static("/responses"),
            Self::Completions => PathAndQuery::from_static("/completions"),
            Self::Embeddings => PathAndQuery::from_static("/embeddings"),
        };
        let with_query = query.and_then(|query| format!("{path}?{query}").try_into().ok());
        Uri::from(with_query.unwrap_or(path))
    }

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
