use std::fmt;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Body;
use replay_body::PeekBody;
use throttle_signal::Envelope;
use tower_service::Service;

use super::future::InboundFuture;
use super::limit::Limit;
use super::rate::RequestCost;

/// Middleware that refuses requests of a key whose rate is used up.
///
/// See the [module docs](super) for an example.
///
/// # Clone
///
/// The inner service must be [`Clone`]: a refusal lets go of the instance that was made ready.
pub struct Inbound<S, K: Hash + Eq + Clone, F> {
    inner: S,
    limit: Arc<Limit<K>>,
    key: F,
    envelope: Envelope,
}

impl<S, K: Hash + Eq + Clone, F> Inbound<S, K, F> {
    pub(crate) const fn new(inner: S, limit: Arc<Limit<K>>, key: F, envelope: Envelope) -> Self {
        Self {
            inner,
            limit,
            key,
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

impl<S, K, F, B, R> Service<Request<B>> for Inbound<S, K, F>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    K: Hash + Eq + Clone,
    F: Fn(&Request<B>) -> Option<K>,
    R: Body<Data = Bytes>,
{
    type Response = Response<PeekBody<R>>;
    type Error = S::Error;
    type Future = InboundFuture<S::Future, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Some(key) = (self.key)(&request) else {
            return InboundFuture::passed(self.inner.call(request), HeaderMap::new());
        };
        let cost = request
            .extensions()
            .get()
            .map_or(NonZeroU32::MIN, |RequestCost(cost)| *cost);
        let mut told = self.limit.check(&key, cost);
        match told.refused.take() {
            None => {
                let mut fields = HeaderMap::with_capacity(2);
                self.limit.write(&told, &mut fields);
                InboundFuture::passed(self.inner.call(request), fields)
            }
            Some(throttle) => {
                // A clone is not ready; the instance that was lets go of what it holds by being dropped.
                self.inner = self.inner.clone();
                let mut response = self.envelope.refuse(throttle, request.headers());
                self.limit.write(&told, response.headers_mut());
                InboundFuture::refused(response)
            }
        }
    }
}

impl<S: Clone, K: Hash + Eq + Clone, F: Clone> Clone for Inbound<S, K, F> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            limit: Arc::clone(&self.limit),
            key: self.key.clone(),
            envelope: self.envelope.clone(),
        }
    }
}

impl<S: fmt::Debug, K: Hash + Eq + Clone, F> fmt::Debug for Inbound<S, K, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbound")
            .field("inner", &self.inner)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}
