use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::sync::watch;
use tower::Service;

use crate::film::Film;

/// An answer may take this long, its last byte included. Long outputs take minutes.
const ANSWER: Duration = Duration::from_secs(600);

/// How long a host may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// The client at the bottom of the stack: sends a request, reads the whole answer, and counts.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    counts: Arc<Counts>,
    film: Option<Arc<Film>>,
}

/// What crossed the wire.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    sends: AtomicU64,
    refused: AtomicU64,
    answered: AtomicU64,
}

/// Whether a request is with the endpoint now, in its extensions: one that is not can be set aside.
#[derive(Clone, Debug)]
pub(crate) struct Sent(Arc<watch::Sender<bool>>);

/// Why there is no answer.
#[derive(Debug)]
pub(crate) struct Broken {
    unreachable: bool,
    may_pass: bool,
    reason: String,
}

impl Wire {
    /// A client with connections of its own.
    pub(crate) fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT));
        let https = HttpsConnectorBuilder::new()
            .with_webpki_roots()
            .https_or_http()
            .enable_http1();
        let client = Client::builder(TokioExecutor::new()).build(https.wrap_connector(connector));
        Self {
            client,
            counts: Arc::default(),
            film: None,
        }
    }

    /// The same, filmed from now on.
    pub(crate) fn filmed(self) -> (Self, Arc<Film>) {
        let film = Arc::new(Film::begin());
        let wire = Self {
            film: Some(Arc::clone(&film)),
            ..self
        };
        (wire, film)
    }

    /// What it has counted, now and later.
    pub(crate) fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    /// The same as a service.
    pub(crate) fn service(
        self,
    ) -> impl Service<
        Request<Full<Bytes>>,
        Response = Response<Full<Bytes>>,
        Error = Broken,
        Future: Send + 'static,
    > + Clone
    + Send
    + Sync
    + 'static {
        tower::service_fn(move |request| {
            let wire = self.clone();
            async move { wire.send(request).await }
        })
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    ///
    /// Fails if the host cannot be reached, or the connection breaks or falls silent.
    pub(crate) async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Full<Bytes>>, Broken> {
        let sent = request.extensions().get::<Sent>().cloned();
        if let Some(sent) = &sent {
            sent.0.send_replace(true);
        }
        self.counts.sends.fetch_add(1, Ordering::Relaxed);
        let answer = tokio::time::timeout(ANSWER, self.answer(request)).await;
        let answer = answer
            .unwrap_or_else(|_| Err(Broken::new(format!("no answer in {} s", ANSWER.as_secs()))));

        let kept = answer
            .as_ref()
            .is_ok_and(|answer| answer.status() != StatusCode::TOO_MANY_REQUESTS);
        if let Some(sent) = sent.filter(|_| !kept) {
            sent.0.send_replace(false);
        }
        if answer.is_ok() {
            let count = if kept {
                &self.counts.answered
            } else {
                &self.counts.refused
            };
            count.fetch_add(1, Ordering::Relaxed);
            if let Some(film) = &self.film {
                film.take(!kept);
            }
        }
        answer
    }

    async fn answer(&self, request: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, Broken> {
        let response = self.client.request(request).await;
        let (parts, body) = response
            .map_err(|error| Broken {
                unreachable: error.is_connect(),
                may_pass: !error.is_connect() || self.counts.heard(),
                reason: deepest(&error),
            })?
            .into_parts();
        let body = body
            .collect()
            .await
            .map_err(|error| Broken::new(deepest(&error)))?;
        Ok(Response::from_parts(parts, Full::new(body.to_bytes())))
    }
}

impl Counts {
    /// Requests sent, each repetition by itself.
    pub(crate) fn sends(&self) -> u64 {
        self.sends.load(Ordering::Relaxed)
    }

    /// Answers that said 429.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Whether the endpoint has ever said anything.
    pub(crate) fn heard(&self) -> bool {
        self.answered.load(Ordering::Relaxed) > 0 || self.refused() > 0
    }
}

impl Sent {
    /// The mark of a request that was not sent yet, and a view of it.
    pub(crate) fn not_yet() -> (Self, watch::Receiver<bool>) {
        let (sent, seen) = watch::channel(false);
        (Self(Arc::new(sent)), seen)
    }
}

impl Broken {
    /// A connection that was there and did not last.
    pub(crate) fn new(reason: String) -> Self {
        Self {
            unreachable: false,
            may_pass: true,
            reason,
        }
    }

    /// Whether another try may fare better. The first word from a host never heard of settles it:
    /// it is a wrong name, most likely.
    pub(crate) fn may_pass(&self) -> bool {
        self.may_pass
    }

    /// Whether there was no connection, so that nothing was sent.
    pub(crate) fn is_unreachable(&self) -> bool {
        self.unreachable
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl Error for Broken {}

/// What lies at the bottom of an error: `connection refused` rather than `client error`.
fn deepest(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
