use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use replay_body::Replay;
use throttle_signal::RequestFacts;
use tokio::time::Instant;
use tower_service::Service;

use crate::chain::Chain;
use crate::run::Run;
use crate::{Candidate, FallbackLayer, NoError, OnError, ResponseBody, ResponseFuture};

/// Middleware that sends a request to the next candidate of a chain when one has no room.
///
/// See the [crate docs](crate) for an example.
///
/// # Readiness
///
/// It is always ready: which candidate a request will need is not known before it is sent. The
/// response future waits for the readiness of the service below, within the candidate's patience.
///
/// # Clone
///
/// The inner service must be [`Clone`]: each response future sends through a clone. What is known of the
/// candidates is shared by all.
#[derive(Clone)]
pub struct Fallback<S, T = NoError> {
    inner: S,
    others: Vec<S>,
    layer: FallbackLayer<T>,
}

impl<S, T> Fallback<S, T> {
    pub(crate) const fn new(inner: S, layer: FallbackLayer<T>) -> Self {
        Self {
            inner,
            others: Vec::new(),
            layer,
        }
    }

    /// Adds a last candidate that goes through a service of its own, such as another client or another
    /// stack of layers. Services of unlike types meet in tower's `BoxCloneSyncService`.
    #[must_use]
    pub fn or(mut self, candidate: Candidate, service: S) -> Self {
        let mut chain = Chain::clone(&self.layer.chain).forgetful();
        self.others.push(service);
        chain.candidates.push(Candidate {
            service: self.others.len(),
            ..candidate
        });
        self.layer.chain = Arc::new(chain);
        self
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

impl<S, B, R, T> Service<Request<B>> for Fallback<S, T>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    B: Replay + From<Bytes>,
    R: Body<Data = Bytes>,
    T: OnError<S::Error> + Clone,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, B, R, T>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let now = Instant::now();
        let facts = RequestFacts::ensure(&mut request, now);
        let run = Run::new(&self.layer, request, facts, now);
        ResponseFuture::new(
            self.inner.clone(),
            self.others.clone(),
            run,
            self.layer.on_error.clone(),
        )
    }
}

impl<S: fmt::Debug, T> fmt::Debug for Fallback<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fallback")
            .field("inner", &self.inner)
            .field("candidates", &self.layer.chain.candidates)
            .finish_non_exhaustive()
    }
}
