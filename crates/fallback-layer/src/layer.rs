use std::sync::Arc;

use throttle_signal::{Envelope, Reader};
use tower_layer::Layer;

use crate::chain::Chain;
use crate::{Candidate, EmptyChain, ErrorFn, Fallback, NoError, Triggers};

/// Layer that applies [`Fallback`].
///
/// What is known of the candidates lives in the layer: services made by it, and by its clones, share
/// it.
///
/// See the [crate docs](crate) for an example.
#[derive(Clone, Debug)]
#[must_use = "layers do nothing unless applied"]
pub struct FallbackLayer<T = NoError> {
    pub(crate) chain: Arc<Chain>,
    pub(crate) reader: Reader,
    pub(crate) envelope: Envelope,
    pub(crate) on_error: T,
}

impl FallbackLayer {
    /// Creates a layer that tries these candidates in this order.
    ///
    /// A list without candidates does not compile; for one known only at run time there is
    /// [`try_new`](Self::try_new).
    ///
    /// ```compile_fail
    /// let layer = fallback_layer::FallbackLayer::new([]);
    /// ```
    pub fn new<const N: usize>(candidates: [Candidate; N]) -> Self {
        const { assert!(N > 0, "a chain needs at least one candidate") };
        Self::of(candidates.into())
    }

    /// Creates a layer that tries these candidates in this order.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn try_new(candidates: impl IntoIterator<Item = Candidate>) -> Result<Self, EmptyChain> {
        let candidates: Vec<_> = candidates.into_iter().collect();
        if candidates.is_empty() {
            return Err(EmptyChain(()));
        }
        Ok(Self::of(candidates))
    }

    fn of(candidates: Vec<Candidate>) -> Self {
        Self {
            chain: Arc::new(Chain::new(candidates)),
            reader: Reader::new(),
            envelope: Envelope::new(),
            on_error: NoError,
        }
    }
}

impl<T> FallbackLayer<T> {
    /// Sets what makes it try the next candidate.
    pub fn triggers(mut self, triggers: Triggers) -> Self {
        Arc::make_mut(&mut self.chain).triggers = triggers;
        self
    }

    /// Sets which errors of the inner service make it try the next candidate, such as a connection
    /// that could not be made. Without it none do.
    ///
    /// Mind what may have been done upstream before the error.
    pub fn on_error<E>(self, moves_on: fn(&E) -> bool) -> FallbackLayer<ErrorFn<E>> {
        FallbackLayer {
            chain: self.chain,
            reader: self.reader,
            envelope: self.envelope,
            on_error: ErrorFn(moves_on),
        }
    }

    /// Sets the beginning of the requests' paths that a candidate's
    /// [`base_url`](Candidate::base_url) takes the place of, such as `/compatible-mode/v1`. Empty if
    /// not set.
    pub fn base_path(mut self, path: impl Into<Box<str>>) -> Self {
        Arc::make_mut(&mut self.chain).base_path = path.into();
        self
    }

    /// Sets how refusals are read, where no layer below has read them: see [`Reader`].
    pub fn reader(mut self, reader: Reader) -> Self {
        self.reader = reader;
        self
    }

    /// Sets how the layer's own refusal is put, when all candidates are known to be out.
    pub fn envelope(mut self, envelope: Envelope) -> Self {
        self.envelope = envelope;
        self
    }
}

impl<S, T: Clone> Layer<S> for FallbackLayer<T> {
    type Service = Fallback<S, T>;

    fn layer(&self, inner: S) -> Self::Service {
        Fallback::new(inner, self.clone())
    }
}
