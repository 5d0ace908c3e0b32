use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{self, Client, ResponseFuture};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tower::Service;

use crate::metrics::Cell;

/// How long a host may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// How long an unused connection is kept. Model Studio and most load balancers close after 60 s or
/// later; a connection they close first is a request that fails.
const IDLE: Duration = Duration::from_secs(50);

/// The client at the bottom of the stacks, with the connections of one thread.
///
/// Each layer above clones what is below it, some twice; one count is cheaper than the client's ten.
#[derive(Clone, Debug)]
pub(crate) struct Upstream(Arc<Client<HttpsConnector<HttpConnector>, Full<Bytes>>>);

impl Upstream {
    pub(crate) fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT));
        let https = HttpsConnectorBuilder::new()
            .with_webpki_roots()
            .https_or_http()
            .enable_http1();
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .build(https.wrap_connector(connector));
        Self(Arc::new(client))
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
            answer: self.0.request(request),
            attempt: Attempt(counts.map(|counts| counts.0)),
        }
    }
}

/// Where an attempt is counted, in its request's extensions.
#[derive(Clone, Debug)]
pub(crate) struct Counts(pub(crate) Arc<Cell>);

/// A request on its way.
#[derive(Debug)]
pub(crate) struct Sending {
    answer: ResponseFuture,
    attempt: Attempt,
}

/// Counts a request as sent, however it ends; as abandoned, too, if it is dropped before.
#[derive(Debug)]
struct Attempt(Option<Arc<Cell>>);

impl Future for Sending {
    type Output = Result<Response<Incoming>, Broken>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.answer).poll(cx)).map_err(Broken);
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
pub(crate) struct Broken(legacy::Error);

impl Broken {
    /// Whether there was no connection, so that nothing was sent, and it may be sent anew.
    pub(crate) fn is_unsent(&self) -> bool {
        self.0.is_connect()
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The deepest reason: `connection refused` rather than `client error`.
        let mut error: &dyn Error = &self.0;
        while let Some(source) = error.source() {
            error = source;
        }
        write!(f, "{error}")
    }
}

impl Error for Broken {}
