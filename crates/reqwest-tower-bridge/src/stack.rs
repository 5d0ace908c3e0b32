use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Extensions, Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use reqwest::Url;
use tower_layer::Layer;
use tower_service::Service;

use crate::RequestBody;
use crate::body::BoxError;
use crate::message::{request_up, response_down};

/// Layer that applies [`StackService`]: the top of a stack for those who speak reqwest.
#[derive(Clone, Copy, Debug, Default)]
pub struct StackLayer(());

impl StackLayer {
    /// Creates the layer.
    #[must_use]
    pub const fn new() -> Self {
        Self(())
    }
}

impl<S> Layer<S> for StackLayer {
    type Service = StackService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        StackService::new(inner)
    }
}

/// A stack of layers over `http` messages as a service of reqwest's: it goes wherever a
/// [`reqwest::Client`] goes as a service.
///
/// Timeout, version and extensions of a request survive, and so does the URL of a response, as with
/// [`LayerMiddleware`](crate::LayerMiddleware).
#[derive(Clone, Copy, Debug, Default)]
pub struct StackService<S> {
    inner: S,
}

impl<S> StackService<S> {
    /// Wraps `inner`.
    pub const fn new(inner: S) -> Self {
        Self { inner }
    }

    /// Returns a reference to the inner service.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns a mutable reference to the inner service.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Returns the inner service, consuming `self`.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, B> Service<reqwest::Request> for StackService<S>
where
    S: Service<Request<RequestBody>, Response = Response<B>, Error: From<reqwest::Error>>,
    B: Body<Data: Into<Bytes>, Error: Into<BoxError>> + Send + Sync + 'static,
{
    type Response = reqwest::Response;
    type Error = S::Error;
    type Future = StackFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: reqwest::Request) -> Self::Future {
        let state = match request_up(request, &Extensions::new()) {
            Ok((request, origin)) => State::Called {
                future: self.inner.call(request),
                url: Some(origin.into_url()),
            },
            Err(error) => State::Refused { error: Some(error) },
        };
        StackFuture { state }
    }
}

pin_project! {
    /// Response future of [`StackService`].
    #[must_use = "futures do nothing unless polled"]
    pub struct StackFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F> {
        // The stack is answering; the URL is for an answer of its own making.
        Called { #[pin] future: F, url: Option<Url> },
        // The request was none that a stack can be given.
        Refused { error: Option<reqwest::Error> },
    }
}

impl<F, B, E> Future for StackFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body<Data: Into<Bytes>, Error: Into<BoxError>> + Send + Sync + 'static,
    E: From<reqwest::Error>,
{
    type Output = Result<reqwest::Response, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Called { future, url } => {
                let response = ready!(future.poll(cx))?;
                match url.take() {
                    Some(url) => Poll::Ready(Ok(response_down(response, url))),
                    None => Poll::Pending, // polled after it was done
                }
            }
            StateProj::Refused { error } => match error.take() {
                Some(error) => Poll::Ready(Err(error.into())),
                None => Poll::Pending, // polled after it was done
            },
        }
    }
}

impl<F> fmt::Debug for StackFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StackFuture").finish_non_exhaustive()
    }
}
