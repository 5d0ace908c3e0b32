use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use replay_body::{PeekBody, Replay};
use throttle_signal::{Reader, RequestFacts};
use tokio::time::Instant;
use tower_service::Service;

use crate::kept::Kept;
use crate::{Backoff, Policy, ResponseFuture};

/// Middleware that re-sends a request when the inner service answers with a refusal that passes.
///
/// See the [crate docs](crate) for an example.
///
/// # Clone
///
/// The inner service must be [`Clone`]: each response future keeps a clone to send further
/// attempts through, while this service goes on to serve other requests.
#[derive(Clone, Debug)]
pub struct Retry429<S, P = Backoff> {
    inner: S,
    policy: P,
    reader: Reader,
}

impl<S, P> Retry429<S, P> {
    /// Wraps `inner`, retrying by `policy` what `reader` finds.
    pub const fn new(inner: S, policy: P, reader: Reader) -> Self {
        Self {
            inner,
            policy,
            reader,
        }
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

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let now = Instant::now();
        let facts = RequestFacts::ensure(&mut request, now);
        let reading = self.reader.begin(&request);
        let (request, kept) = Kept::of(request);
        // The first attempt must go through `self.inner`: it is the instance `poll_ready` made
        // ready. The clone is not ready, and the future does not use it before it is.
        let first = self.inner.call(request);
        ResponseFuture::new(
            first,
            self.inner.clone(),
            self.policy.clone(),
            kept,
            reading,
            facts,
            now,
        )
    }
}
