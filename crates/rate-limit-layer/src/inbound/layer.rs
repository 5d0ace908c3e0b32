use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use throttle_signal::Envelope;
use tower_layer::Layer;

use super::limit::Limit;
use super::rate::Rate;
use super::service::Inbound;

/// Layer that applies [`Inbound`]. All services it makes, and all its clones, share their keys.
///
/// See the [module docs](super) for an example and for functions that make keys.
pub struct InboundLayer<K: Hash + Eq + Clone, F> {
    limit: Arc<Limit<K>>,
    key: F,
    envelope: Envelope,
}

impl<K: Hash + Eq + Clone, F> InboundLayer<K, F> {
    /// Creates a layer that allows `rate` for each key; `key` makes one of a request.
    #[must_use]
    pub fn new(rate: Rate, key: F) -> Self {
        Self {
            limit: Arc::new(Limit::new(rate)),
            key,
            envelope: Envelope::new(),
        }
    }

    /// Sets what a refusal looks like.
    #[must_use]
    pub fn envelope(self, envelope: Envelope) -> Self {
        Self { envelope, ..self }
    }

    /// Returns how many keys are remembered.
    #[must_use]
    pub fn key_count(&self) -> usize {
        self.limit.len()
    }
}

impl<S, K: Hash + Eq + Clone, F: Clone> Layer<S> for InboundLayer<K, F> {
    type Service = Inbound<S, K, F>;

    fn layer(&self, inner: S) -> Self::Service {
        Inbound::new(
            inner,
            Arc::clone(&self.limit),
            self.key.clone(),
            self.envelope.clone(),
        )
    }
}

impl<K: Hash + Eq + Clone, F: Clone> Clone for InboundLayer<K, F> {
    fn clone(&self) -> Self {
        Self {
            limit: Arc::clone(&self.limit),
            key: self.key.clone(),
            envelope: self.envelope.clone(),
        }
    }
}

impl<K: Hash + Eq + Clone, F> fmt::Debug for InboundLayer<K, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboundLayer")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}
