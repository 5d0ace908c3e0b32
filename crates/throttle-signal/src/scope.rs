use std::fmt;

/// Whom a refusal concerns.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Scope {
    /// This credential alone.
    Key,

    /// Every key and model of the account, organisation, project or workspace.
    Account,

    /// This model, or deployment, on this account. Another model may work now.
    Model,

    /// The provider or a pool that others share.
    Server,

    /// Not told; also limits by client address.
    #[default]
    Unknown,
}

impl Scope {
    /// The word for machines, in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Account => "account",
            Self::Model => "model",
            Self::Server => "server",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
