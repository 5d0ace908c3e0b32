use std::error::Error;
use std::fmt;

use crate::body::BoxError;

/// A layer failed with an error of its own.
///
/// It is what [`reqwest_middleware::Error::Middleware`] holds then. The layer's error is its
/// [`source`](Error::source), and so in the `chain()` of that.
#[derive(Debug)]
pub struct LayerFailed {
    error: BoxError,
}

impl LayerFailed {
    /// The error of the layer.
    #[must_use]
    pub fn into_inner(self) -> BoxError {
        self.error
    }
}

impl fmt::Display for LayerFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a layer around the client failed")
    }
}

impl Error for LayerFailed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.error)
    }
}

/// The error as reqwest-middleware would have given it, where the layers only passed it on.
pub(crate) fn unbox(error: BoxError) -> reqwest_middleware::Error {
    let error = match error.downcast::<reqwest_middleware::Error>() {
        Ok(error) => return *error,
        Err(error) => error,
    };
    match error.downcast::<reqwest::Error>() {
        Ok(error) => reqwest_middleware::Error::Reqwest(*error),
        Err(error) => reqwest_middleware::Error::middleware(LayerFailed { error }),
    }
}
