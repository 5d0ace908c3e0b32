use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use replay_body::Replay;
use throttle_signal::{Envelope, Reader, RequestFacts};
use tokio::time::Instant;
use tower_service::Service;

use crate::future::Unsent;
use crate::partition::Asked;
use crate::watch;
use crate::{Limiter, ResponseBody, ResponseFuture};

/// Middleware that sends requests no faster than a quota allows.
///
/// See the [crate docs](crate) for an example.
///
/// # Clone
///
/// The inner service must be [`Clone`]: a request that has to wait lets go of the instance that was
/// made ready and readies another when its turn has come.
#[derive(Clone, Debug)]
pub struct RateLimit<S> {
    inner: S,
    limiter: Limiter,
    reader: Reader,
    envelope: Envelope,
}

impl<S> RateLimit<S> {
    pub(crate) const fn new(
        inner: S,
        limiter: Limiter,
        reader: Reader,
        envelope: Envelope,
    ) -> Self {
        Self {
            inner,
            limiter,
            reader,
            envelope,
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

impl<S, B, R> Service<Request<B>> for RateLimit<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    B: Replay,
    R: Body<Data = Bytes>,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, B, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let now = Instant::now();
        let facts = RequestFacts::ensure(&mut request, now);
        let body = request.body().bytes().unwrap_or_default();
        match self.limiter.ask(now, &facts, &body) {
            Asked::Admitted(permit) => {
                // The instance made ready is `self.inner`, and it is called before anything else.
                let reading = self.reader.clone().begin_with(&request, facts);
                let future = self.inner.call(request);
                ResponseFuture::called(future, permit, reading)
            }
            Asked::Waits(waiter) => {
                // A clone is not ready. Whatever the ready instance held, a permit below this layer
                // for one, it lets go of now.
                self.inner = self.inner.clone();
                let unsent = Unsent {
                    service: self.inner.clone(),
                    request,
                    facts,
                    reader: self.reader.clone(),
                    envelope: self.envelope.clone(),
                };
                ResponseFuture::waiting(waiter, now, unsent)
            }
            Asked::Refused(refusal) => {
                self.inner = self.inner.clone(); // as above
                let throttle = refusal.throttle(&facts, now);
                watch::handed_back(&facts, &throttle);
                ResponseFuture::refused(self.envelope.refuse(throttle, request.headers()))
            }
        }
    }
}
