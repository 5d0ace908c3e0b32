use std::fmt;

/// What a refusal says was exceeded.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    /// Requests in a window of time: per second, per minute, or a day that refills continuously.
    RequestRate,

    /// Tokens in a window of time.
    TokenRate,

    /// The slope of the rate rather than its height. Coming back at full speed earns it again.
    Burst,

    /// Requests in flight at once.
    Concurrency,

    /// Credit, a free tier, or a quota that ends with a calendar day or month.
    QuotaExhausted,

    /// The server or a shared pool has no room; it is not the caller's doing.
    Overloaded,

    /// The key is wrong, revoked or not entitled, or the account is blocked.
    Credential,
}

impl Kind {
    /// Whether the same request can succeed later with nobody doing anything.
    ///
    /// A response may say otherwise, for example a request larger than the limit; then
    /// [`Throttle::retry`](crate::Throttle::retry) differs from this.
    #[must_use]
    pub const fn passes_with_time(self) -> bool {
        matches!(
            self,
            Self::RequestRate
                | Self::TokenRate
                | Self::Burst
                | Self::Concurrency
                | Self::Overloaded
        )
    }

    /// Whether a limiter could have kept the request from being refused.
    #[must_use]
    pub const fn is_rate(self) -> bool {
        matches!(self, Self::RequestRate | Self::TokenRate | Self::Burst)
    }

    /// The word for machines: lower case, joined by `_`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RequestRate => "request_rate",
            Self::TokenRate => "token_rate",
            Self::Burst => "burst",
            Self::Concurrency => "concurrency",
            Self::QuotaExhausted => "quota_exhausted",
            Self::Overloaded => "overloaded",
            Self::Credential => "auth",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
