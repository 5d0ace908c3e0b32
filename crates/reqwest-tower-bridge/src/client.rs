use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::body::BoxError;
use crate::message::{request_down, response_up};

/// A client of reqwest as a service of `http` messages: the bottom of a tower stack.
///
/// `C` is a [`reqwest::Client`] or a [`reqwest_middleware::ClientWithMiddleware`]. Requests may have
/// any body that reqwest takes, and one in memory stays in memory, so that reqwest can follow
/// redirects with it. Errors are the client's, untouched.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientService<C> {
    client: C,
}

impl<C> ClientService<C> {
    /// Wraps `client`.
    pub const fn new(client: C) -> Self {
        Self { client }
    }

    /// Returns a reference to the client.
    pub const fn get_ref(&self) -> &C {
        &self.client
    }

    /// Returns a mutable reference to the client.
    pub const fn get_mut(&mut self) -> &mut C {
        &mut self.client
    }

    /// Returns the client, consuming `self`.
    pub fn into_inner(self) -> C {
        self.client
    }
}

impl<C, B> Service<Request<B>> for ClientService<C>
where
    C: Service<reqwest::Request, Response = reqwest::Response, Error: From<reqwest::Error>>,
    B: Body<Data: Into<Bytes>, Error: Into<BoxError>> + Send + Sync + 'static,
{
    type Response = Response<reqwest::Body>;
    type Error = C::Error;
    type Future = ClientFuture<C::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), C::Error>> {
        self.client.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let state = match request_down(request, None) {
            Ok(request) => State::Called {
                future: self.client.call(request),
            },
            Err(error) => State::Refused { error: Some(error) },
        };
        ClientFuture { state }
    }
}

pin_project! {
    /// Response future of [`ClientService`].
    #[must_use = "futures do nothing unless polled"]
    pub struct ClientFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F> {
        // The client is answering.
        Called { #[pin] future: F },
        // The request was none that reqwest can send.
        Refused { error: Option<reqwest::Error> },
    }
}

impl<F, E> Future for ClientFuture<F>
where
    F: Future<Output = Result<reqwest::Response, E>>,
    E: From<reqwest::Error>,
{
    type Output = Result<Response<reqwest::Body>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Called { future } => {
                let response = ready!(future.poll(cx))?;
                Poll::Ready(Ok(response_up(response)))
            }
            StateProj::Refused { error } => match error.take() {
                Some(error) => Poll::Ready(Err(error.into())),
                None => Poll::Pending, // polled after it was done
            },
        }
    }
}

impl<F> fmt::Debug for ClientFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientFuture").finish_non_exhaustive()
    }
}
