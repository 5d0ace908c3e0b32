use std::fmt;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use replay_body::{PeekBody, Replay};
use throttle_signal::RequestFacts;
use tokio::time::Instant;
use tower_service::Service;

use crate::ResponseFuture;
use crate::attempt::{Again, Sent};
use crate::choose::Choice;
use crate::layer::Settings;
use crate::round::Round;
use crate::strategy::Pick;
use crate::watch;

/// Middleware that sends each request with a key of a pool, and with another one when that is
/// refused.
///
/// See the [crate docs](crate) for an example.
///
/// # Clone
///
/// The inner service must be [`Clone`]: each response future keeps a clone to send further attempts
/// through, while this service goes on to serve other requests. The pool is shared by all clones.
#[derive(Clone)]
pub struct KeyRotation<S> {
    inner: S,
    settings: Arc<Settings>,
}

impl<S> KeyRotation<S> {
    pub(crate) const fn new(inner: S, settings: Arc<Settings>) -> Self {
        Self { inner, settings }
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

impl<S, B, R> Service<Request<B>> for KeyRotation<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    B: Replay,
    R: Body<Data = Bytes>,
{
    type Response = Response<PeekBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, B, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let now = Instant::now();
        let facts = RequestFacts::ensure(&mut request, now);
        let Settings { pool, sticky, .. } = &*self.settings;
        let conversation = match pool.shared.strategy.0 {
            Pick::Sticky { .. } => sticky.conversation(&request),
            _ => None,
        };
        let mut round = Round::new(Arc::clone(&self.settings), facts, conversation);

        match round.first(request.uri(), request.headers(), now) {
            Choice::Send(lease, start_by) => {
                let again = pool
                    .has_choice()
                    .then(|| Again::keep(&request, self.inner.clone()));
                let can_move = again.as_ref().is_some_and(Again::can_be_sent);
                let start_by = round.hurry(start_by, can_move);
                let request = lease.apply(request, start_by);
                let reading = self.settings.reader.begin(&request);
                let future = self.inner.call(request);
                round.called(&lease, now);
                let lease = Some(lease);
                ResponseFuture::called(future, Sent { reading, lease }, round, again)
            }
            // Nothing of this pool: it goes as it came.
            Choice::Foreign => {
                let sent = Sent {
                    reading: self.settings.reader.begin(&request),
                    lease: None,
                };
                ResponseFuture::called(self.inner.call(request), sent, round, None)
            }
            Choice::Nobody(outlook) => {
                // Lets go of the readiness this instance held.
                let fresh = self.inner.clone();
                drop(mem::replace(&mut self.inner, fresh));
                let throttle = round.throttle(&outlook, now);
                watch::all_out(&throttle);
                let response = self.settings.envelope.refuse(throttle, request.headers());
                ResponseFuture::answered(response, round)
            }
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for KeyRotation<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRotation")
            .field("inner", &self.inner)
            .field("pool", &self.settings.pool)
            .finish_non_exhaustive()
    }
}
