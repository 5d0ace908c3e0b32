use std::fmt;

/// Why a call of the store came to nothing.
#[derive(Debug)]
pub(super) enum Failure {
    /// No answer within the time limit.
    Late,

    /// The connection broke, or the server refuses the call.
    Server(redis::RedisError),

    /// The answer is none of the script's.
    Garbled,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late => f.write_str("no answer within the time limit"),
            Self::Server(error) => error.fmt(f),
            Self::Garbled => f.write_str("an answer that is not the script's"),
        }
    }
}
