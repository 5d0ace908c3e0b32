use throttle_signal::Reader;
use tower_layer::Layer;

use crate::{Backoff, Retry429};

/// Layer that applies [`Retry429`].
///
/// See the [crate docs](crate) for an example.
#[derive(Clone, Debug, Default)]
pub struct Retry429Layer<P = Backoff> {
    policy: P,
    reader: Reader,
}

impl Retry429Layer {
    /// Creates a layer that retries by the default [`Backoff`].
    #[must_use]
    pub const fn new() -> Self {
        Self::with_policy(Backoff::new())
    }
}

impl<P> Retry429Layer<P> {
    /// Creates a layer that retries by `policy`.
    pub const fn with_policy(policy: P) -> Self {
        Self {
            policy,
            reader: Reader::new(),
        }
    }

    /// Sets the reader of responses. It matters where no layer below reads them already.
    #[must_use]
    pub fn reader(self, reader: Reader) -> Self {
        Self { reader, ..self }
    }
}

impl<S, P> Layer<S> for Retry429Layer<P>
where
    P: Clone,
{
    type Service = Retry429<S, P>;

    fn layer(&self, inner: S) -> Self::Service {
        Retry429::new(inner, self.policy.clone(), self.reader.clone())
    }
}
