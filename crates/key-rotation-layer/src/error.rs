use std::error::Error;
use std::fmt;

use throttle_signal::AccountId;

/// Why a pool, or a change to one, was not accepted. It names accounts, never keys.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum InvalidPool {
    /// There is no account.
    NoAccount,

    /// Two accounts have this name.
    Duplicate(AccountId),

    /// This account has no key.
    NoKey(AccountId),

    /// A key of this account is empty, such as when an environment variable was not set.
    EmptyKey(AccountId),

    /// A key of this account cannot be sent: it holds a line break, another control character, or
    /// what is not ASCII.
    UnsendableKey(AccountId),

    /// There is no account of this name.
    Unknown(AccountId),
}

impl fmt::Display for InvalidPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAccount => f.write_str("the pool has no account"),
            Self::Duplicate(account) => write!(f, "two accounts are named {account}"),
            Self::NoKey(account) => write!(f, "account {account} has no key"),
            Self::EmptyKey(account) => write!(f, "a key of account {account} is empty"),
            Self::UnsendableKey(account) => {
                write!(
                    f,
                    "a key of account {account} holds characters that cannot be sent"
                )
            }
            Self::Unknown(account) => write!(f, "there is no account named {account}"),
        }
    }
}

impl Error for InvalidPool {}
