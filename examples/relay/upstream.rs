use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{BoxError, Service};

use crate::incoming::Incoming;
use crate::metrics::Cell;
use crate::pool::Pool;

/// The client at the bottom of the stacks, with the connections of one thread.
#[derive(Clone, Debug)]
pub(crate) struct Upstream(Arc<Pool>);

impl Upstream {
    /// It must be called within a tokio runtime.
    pub(crate) fn new() -> Self {
        Self(Pool::new())
    }
}

impl Service<Request<Full<Bytes>>> for Upstream {
    type Response = Response<Incoming>;
    type Error = Broken;
    type Future = Sending;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Full<Bytes>>) -> Sending {
        let counts = request.extensions_mut().remove::<Counts>();
        Sending {
            answer: Box::pin(Arc::clone(&self.0).send(request)),
            attempt: Attempt(counts.map(|counts| counts.0)),
        }
    }
}

/// Where an attempt is counted, in its request's extensions.
#[derive(Clone, Debug)]
pub(crate) struct Counts(pub(crate) Arc<Cell>);

/// A request on its way.
pub(crate) struct Sending {
    answer: Answer,
    attempt: Attempt,
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<Incoming>, Broken>> + Send>>;

/// Counts a request as sent, however it ends; as abandoned, too, if it is dropped before.
#[derive(Debug)]
struct Attempt(Option<Arc<Cell>>);

impl Future for Sending {
    type Output = Result<Response<Incoming>, Broken>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(self.answer.as_mut().poll(cx));
        if let Some(cell) = self.attempt.0.take() {
            match &answer {
                Err(broken) if broken.is_unsent() => {
                    cell.unreachable.inc();
                }
                answer => {
                    cell.attempts.inc();
                    cell.failed.inc_by(u64::from(answer.is_err()));
                }
            }
        }
        Poll::Ready(answer)
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(cell) = &self.0 {
            cell.attempts.inc();
            cell.abandoned.inc();
        }
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Broken {
    /// There was no connection.
    Connect(BoxError),
    /// The connection ended, or what came by it made no sense.
    Link(hyper::Error),
}

impl Broken {
    /// Whether there was no connection, so that nothing was sent, and it may be sent anew.
    pub(crate) const fn is_unsent(&self) -> bool {
        matches!(self, Self::Connect(_))
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The deepest reason: `connection refused` rather than `client error`.
        let mut error: &dyn Error = match self {
            Self::Connect(error) => error.as_ref(),
            Self::Link(error) => error,
        };
        while let Some(source) = error.source() {
            error = source;
        }
        write!(f, "{error}")
    }
}

impl Error for Broken {}
