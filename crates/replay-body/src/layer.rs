use tower_layer::Layer;

use crate::ReplayService;

/// Layer that makes request bodies replayable, as [`ReplayBody`](crate::ReplayBody).
///
/// It goes outside the layers that send requests again. See the [crate docs](crate) for an example.
#[derive(Clone, Copy, Debug)]
pub struct ReplayLayer {
    cap: usize,
}

impl ReplayLayer {
    /// Creates a layer that keeps up to `cap` bytes of each request body.
    ///
    /// A cap of 0 keeps none but empty bodies. Memory is bounded by the cap times the requests in
    /// flight, where bodies keep to the size they state.
    #[must_use]
    pub const fn new(cap: usize) -> Self {
        Self { cap }
    }
}

impl<S> Layer<S> for ReplayLayer {
    type Service = ReplayService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ReplayService::new(inner, self.cap)
    }
}
