use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a request was not served.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum RefusalKind {
    /// Too many requests: RPM or RPS.
    RequestRate,
    /// Too many tokens: TPM or TPS.
    TokenRate,
    /// The rate grew too quickly.
    Burst,
    /// The trial credit of the model is used up.
    FreeQuota,
    /// The account is overdue.
    Arrears,
    /// The key is unknown.
    InvalidKey,
    /// The provider itself has no capacity left.
    Overloaded,
}

impl fmt::Display for RefusalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RequestRate => "too many requests",
            Self::TokenRate => "too many tokens",
            Self::Burst => "the rate grew too quickly",
            Self::FreeQuota => "the free quota is used up",
            Self::Arrears => "the account is overdue",
            Self::InvalidKey => "the key is unknown",
            Self::Overloaded => "no capacity left",
        })
    }
}

/// A request that a [`Partition`](crate::Partition) did not admit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Refusal {
    /// Why.
    pub kind: RefusalKind,
    /// Which window refused: its place in the order in which the windows were given to
    /// [`Limits`](crate::Limits). Where several refuse at once it is the longest of them, and of
    /// equally long ones the first.
    pub window: Option<usize>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl std::error::Error for Refusal {}
