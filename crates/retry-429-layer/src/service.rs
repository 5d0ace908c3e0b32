use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use replay_body::{PeekBody, Replay};
use throttle_signal::KeptRequest;
use tokio::time::Instant;
use tower_service::Service;

use crate::attempts::Attempts;
use crate::layer::Shared;
use crate::{Backoff, Policy, ResponseFuture};

/// Middleware that re-sends a request when the inner service answers with a refusal that passes.
///
/// See the [crate docs](crate) for an example.
///
/// # Clone
///
/// The inner service must be [`Clone`]: each response future keeps a clone to send further
/// attempts through, while this service goes on to serve other requests.
pub struct Retry429<S, P = Backoff> {
    inner: S,
    shared: Arc<Shared<P>>,
}

impl<S, P> Retry429<S, P> {
    pub(crate) const fn new(inner: S, shared: Arc<Shared<P>>) -> Self {
        Self { inner, shared }
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

impl<S, P, B, R> Service<Request<B>> for Retry429<S, P>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    P: Policy<S::Error> + Clone,
    B: Replay,
    R: Body<Data = Bytes>,
{
    type Response = Response<PeekBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, P, B, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let started = Instant::now();
        if let Some(budget) = &self.shared.budget {
            budget.deposit();
        }
        let kept = KeptRequest::of(&request);
        // The first attempt must go through `self.inner`: it is the instance `poll_ready` made
        // ready. The clone is not ready, and the future does not use it before it is.
        let first = self.inner.call(request);
        let service = self.inner.clone();
        // Last, so that the copy is moved once.
        let attempts = Attempts::new(Arc::clone(&self.shared), kept, started);
        ResponseFuture::new(first, service, attempts)
    }
}

// Not derived: what is shared is not cloned.
impl<S: Clone, P> Clone for Retry429<S, P> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<S: fmt::Debug, P: fmt::Debug> fmt::Debug for Retry429<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry429")
            .field("inner", &self.inner)
            .field("policy", &self.shared.policy)
            .finish_non_exhaustive()
    }
}
