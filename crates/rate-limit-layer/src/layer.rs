use throttle_signal::{Envelope, Reader};
use tower_layer::Layer;

use crate::{Limiter, RateLimit};

/// Layer that applies [`RateLimit`].
///
/// All services it makes, and all its clones, share one [`Limiter`]. See the [crate docs](crate)
/// for an example.
#[derive(Clone, Debug)]
pub struct RateLimitLayer {
    limiter: Limiter,
    reader: Reader,
    envelope: Envelope,
}

impl RateLimitLayer {
    /// Creates a layer that paces to the quotas of `limiter`.
    #[must_use]
    pub fn new(limiter: Limiter) -> Self {
        Self {
            limiter,
            reader: Reader::new(),
            envelope: Envelope::new(),
        }
    }

    /// Sets how responses are read, where the host does not tell the provider.
    #[must_use]
    pub fn reader(self, reader: Reader) -> Self {
        Self { reader, ..self }
    }

    /// Sets what a refusal of this layer looks like.
    #[must_use]
    pub fn envelope(self, envelope: Envelope) -> Self {
        Self { envelope, ..self }
    }
}

impl<S> Layer<S> for RateLimitLayer {
    type Service = RateLimit<S>;

    fn layer(&self, inner: S) -> RateLimit<S> {
        RateLimit::new(
            inner,
            self.limiter.clone(),
            self.reader.clone(),
            self.envelope.clone(),
        )
    }
}
