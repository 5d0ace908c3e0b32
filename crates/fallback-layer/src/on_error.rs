use std::fmt;

/// Decides whether an error of the inner service is worth the next candidate.
///
/// [`NoError`] never does; [`ErrorFn`] asks a function.
pub trait OnError<E> {
    /// Whether to try the next candidate after this error.
    fn moves_on(&self, error: &E) -> bool;
}

/// Hands every error up.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct NoError;

impl<E> OnError<E> for NoError {
    fn moves_on(&self, _: &E) -> bool {
        false
    }
}

/// Asks a function, see [`FallbackLayer::on_error`](crate::FallbackLayer::on_error).
pub struct ErrorFn<E>(pub(crate) fn(&E) -> bool);

impl<E> OnError<E> for ErrorFn<E> {
    fn moves_on(&self, error: &E) -> bool {
        (self.0)(error)
    }
}

impl<E> Clone for ErrorFn<E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for ErrorFn<E> {}

impl<E> fmt::Debug for ErrorFn<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ErrorFn")
    }
}
