use std::mem;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Request;
use http_body::Body;
use tower_service::Service;

use crate::{ReplayBody, ReplayFuture};

/// Middleware that makes request bodies replayable, as [`ReplayBody`].
///
/// A body that states its size, and states no more than the cap, is collected before the request
/// goes on. Any other flows on at once and is recorded as it does. The inner service must be
/// [`Clone`]: while a body is collected, this service goes on to serve other requests.
#[derive(Clone, Debug)]
pub struct ReplayService<S> {
    inner: S,
    cap: usize,
}

impl<S> ReplayService<S> {
    /// Wraps `inner`, keeping up to `cap` bytes of each request body.
    pub const fn new(inner: S, cap: usize) -> Self {
        Self { inner, cap }
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

impl<S, B> Service<Request<B>> for ReplayService<S>
where
    S: Service<Request<ReplayBody<B>>> + Clone,
    B: Body<Data = Bytes>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ReplayFuture<S, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let stated = request.body().size_hint().exact();
        let size = stated.and_then(|size| usize::try_from(size).ok());
        if let Some(size) = size.filter(|size| *size <= self.cap && !request.body().is_end_stream())
        {
            // The future takes the instance that is ready, and lets go of its readiness should it
            // have to wait for the body.
            let unready = self.inner.clone();
            ReplayFuture::collect(request, size, mem::replace(&mut self.inner, unready))
        } else {
            let request = request.map(|body| ReplayBody::tee(body, self.cap));
            ReplayFuture::called(self.inner.call(request))
        }
    }
}
