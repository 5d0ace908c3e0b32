use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use reqwest_middleware::{Error, Next};
use tower_layer::Layer;
use tower_service::Service;

use crate::RequestBody;
use crate::body::BoxError;
use crate::lent::{Shared, lock};
use crate::message::{request_down, response_up};
use crate::origin::Origin;

/// The rest of a client's middleware chain, as a service: what [`LayerMiddleware`] puts its layer
/// around.
///
/// It lives as long as one request, is always ready, and can be called as often as a layer likes.
/// It takes any body that reqwest takes; bodies in memory stay in memory.
///
/// [`LayerMiddleware`]: crate::LayerMiddleware
#[derive(Clone)]
pub struct NextService<'a> {
    next: Next<'a>,
    extensions: Shared,
    origin: Origin,
}

impl<'a> NextService<'a> {
    pub(crate) const fn new(next: Next<'a>, extensions: Shared, origin: Origin) -> Self {
        Self {
            next,
            extensions,
            origin,
        }
    }
}

impl<'a, B> Service<Request<B>> for NextService<'a>
where
    B: Body<Data: Into<Bytes>, Error: Into<BoxError>> + Send + Sync + 'static,
{
    type Response = Response<reqwest::Body>;
    type Error = Error;
    // Boxed as `Next::run` is, whose future borrows the extensions that live in this one.
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>> + Send + 'a>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let next = self.next.clone();
        let shared = Shared::clone(&self.extensions);
        let request = request_down(request, Some(&self.origin));
        Box::pin(async move {
            let mut extensions = lock(&shared).clone();
            let response = next.run(request?, &mut extensions).await;
            // As middleware further down left them: for the next attempt, and for the caller.
            *lock(&shared) = extensions;
            response.map(response_up)
        })
    }
}

impl fmt::Debug for NextService<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NextService").finish_non_exhaustive()
    }
}

/// A layer that fits around a [`NextService`]: what [`LayerMiddleware`] asks of its layer.
///
/// It is implemented for every layer that can be; there is nothing to implement. The service that
/// the layer makes must take `http::Request<RequestBody>`, answer with an `http::Response` whose
/// body is `Send`, `Sync` and `'static`, and be `Send` along with its future, but neither need be
/// `'static`: they borrow the client for as long as one request takes.
///
/// [`LayerMiddleware`]: crate::LayerMiddleware
pub trait NextLayer<'a>: Layer<NextService<'a>, Service = Self::NextStack> {
    /// The service the layer makes.
    type NextStack: Service<
            Request<RequestBody>,
            Response = Response<Self::ResponseBody>,
            Error = Self::Error,
            Future = Self::Future,
        > + Send;

    /// The body of its responses.
    type ResponseBody: Body<Data: Into<Bytes>, Error: Into<BoxError>> + Send + Sync + 'static;

    /// Its error.
    type Error: Into<BoxError> + Send;

    /// Its response future.
    type Future: Future<Output = Result<Response<Self::ResponseBody>, Self::Error>> + Send;
}

impl<'a, L, S, B> NextLayer<'a> for L
where
    L: Layer<NextService<'a>, Service = S>,
    S: Service<
            Request<RequestBody>,
            Response = Response<B>,
            Error: Into<BoxError> + Send,
            Future: Send,
        > + Send,
    B: Body<Data: Into<Bytes>, Error: Into<BoxError>> + Send + Sync + 'static,
{
    type NextStack = S;
    type ResponseBody = B;
    type Error = S::Error;
    type Future = S::Future;
}
