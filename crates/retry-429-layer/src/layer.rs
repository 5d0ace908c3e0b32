use std::fmt;
use std::sync::Arc;

use throttle_signal::Reader;
use tower_layer::Layer;

use crate::herd::Herd;
use crate::{Backoff, Budget, Retry429, TokenBudget};

/// Layer that applies [`Retry429`].
///
/// See the [crate docs](crate) for an example.
///
/// # Clone
///
/// Clones, and all services made by them, share one budget and one order of those that wait.
#[derive(Clone)]
pub struct Retry429Layer<P = Backoff> {
    shared: Shared<P>,
}

/// What all services of a layer have in common.
#[derive(Clone)]
pub(crate) struct Shared<P> {
    pub(crate) policy: P,
    pub(crate) reader: Reader,
    pub(crate) budget: Option<Arc<dyn Budget>>,
    pub(crate) herd: Arc<Herd>,
    pub(crate) owner: bool,
}

impl Retry429Layer {
    /// Creates a layer that retries by the default [`Backoff`], within the default [`TokenBudget`].
    #[must_use]
    pub fn new() -> Self {
        Self::with_policy(Backoff::new())
    }
}

impl<P> Retry429Layer<P> {
    /// Creates a layer that retries by `policy`, within the default [`TokenBudget`].
    pub fn with_policy(policy: P) -> Self {
        let shared = Shared {
            policy,
            reader: Reader::new(),
            budget: Some(Arc::new(TokenBudget::default())),
            herd: Arc::default(),
            owner: false,
        };
        Self { shared }
    }

    /// Sets the reader of responses. It matters where no layer below reads them already.
    #[must_use]
    pub fn reader(mut self, reader: Reader) -> Self {
        self.shared.reader = reader;
        self
    }

    /// Sets the budget, which may be shared with other layers.
    #[must_use]
    pub fn budget(mut self, budget: Arc<dyn Budget>) -> Self {
        self.shared.budget = Some(budget);
        self
    }

    /// Takes the budget away: the policy alone bounds how much retries add.
    #[must_use]
    pub fn without_budget(mut self) -> Self {
        self.shared.budget = None;
        self
    }

    /// Sets whether this layer is the only one to retry, for answers that go on to a client with
    /// retries of its own: refusals that are handed back then say `x-should-retry: false`, which the
    /// SDKs of `OpenAI` and Anthropic heed, and state the exact wait in `retry-after-ms` and
    /// `Retry-After`.
    #[must_use]
    pub fn sole_owner(mut self, owner: bool) -> Self {
        self.shared.owner = owner;
        self
    }
}

impl Default for Retry429Layer {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: fmt::Debug> fmt::Debug for Retry429Layer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry429Layer")
            .field("policy", &self.shared.policy)
            .field("reader", &self.shared.reader)
            .field("budget", &self.shared.budget)
            .finish_non_exhaustive()
    }
}

impl<S, P> Layer<S> for Retry429Layer<P>
where
    P: Clone,
{
    type Service = Retry429<S, P>;

    fn layer(&self, inner: S) -> Self::Service {
        Retry429::new(inner, Arc::new(self.shared.clone()))
    }
}
