use std::io;

use super::envelope::Failure;
use crate::RefusalKind;

/// Why a request gets no answer of the kind it asked for.
#[derive(Debug)]
pub(super) enum Stop {
    /// It gets an error instead.
    Failure(Failure),
    /// It gets nothing: the connection is reset.
    Reset,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<RefusalKind> for Stop {
    fn from(kind: RefusalKind) -> Self {
        Self::Failure(kind.into())
    }
}

/// What ends a connection without an answer.
pub(super) fn reset() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}
