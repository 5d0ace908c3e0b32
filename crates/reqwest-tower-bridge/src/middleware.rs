use std::fmt;
use std::future::poll_fn;

use http::Extensions;
use reqwest_middleware::{Middleware, Next};
use tower_service::Service;

use crate::failure::unbox;
use crate::lent::Lent;
use crate::message::{request_up, response_down};
use crate::{NextLayer, NextService};

/// Middleware for reqwest-middleware that applies a tower layer to each request.
///
/// See the [crate docs](crate) for what passes through it and for an example.
///
/// # State
///
/// The layer is applied anew for each request, so what is to last from one to the next has to be
/// shared by the layer itself. In ours it is. Of tower's, `GlobalConcurrencyLimitLayer` does share;
/// `ConcurrencyLimitLayer` and `RateLimitLayer` start anew each time and so limit nothing here.
#[derive(Clone, Copy, Default)]
pub struct LayerMiddleware<L> {
    layer: L,
}

impl<L> LayerMiddleware<L> {
    /// Creates middleware that applies `layer`: one layer, or a `tower::ServiceBuilder` of several.
    pub const fn new(layer: L) -> Self {
        Self { layer }
    }
}

#[async_trait::async_trait]
impl<L> Middleware for LayerMiddleware<L>
where
    L: for<'a> NextLayer<'a> + Send + Sync + 'static,
{
    async fn handle(
        &self,
        request: reqwest::Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        handle(&self.layer, request, extensions, next).await
    }
}

// A function of its own, with one lifetime named: within `Middleware::handle` the compiler would
// have to prove the future `Send` for all lifetimes at once, and cannot.
async fn handle<'a, L>(
    layer: &L,
    request: reqwest::Request,
    extensions: &mut Extensions,
    next: Next<'a>,
) -> reqwest_middleware::Result<reqwest::Response>
where
    L: NextLayer<'a>,
{
    let (request, origin) = request_up(request, extensions)?;
    let lent = Lent::new(extensions);
    let mut service = layer.layer(NextService::new(next, lent.shared(), origin.clone()));
    let answer = match poll_fn(|cx| service.poll_ready(cx)).await {
        Ok(()) => service.call(request).await,
        Err(error) => Err(error),
    };
    answer
        .map(|response| response_down(response, origin.into_url()))
        .map_err(|error| unbox(error.into()))
}

impl<L> fmt::Debug for LayerMiddleware<L>
where
    L: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LayerMiddleware")
            .field("layer", &self.layer)
            .finish()
    }
}
