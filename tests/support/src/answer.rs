use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;

/// What an [`Upstream`](crate::Upstream) does with one request, and how long it takes.
#[derive(Debug)]
pub struct Answer<R = Full<Bytes>> {
    pub(crate) outcome: Outcome<R>,
    pub(crate) after: Duration,
}

#[derive(Debug)]
pub(crate) enum Outcome<R> {
    Response(Response<R>),
    Error(UpstreamError),
    Never,
}

impl<R> Answer<R> {
    /// Fails instead of answering, as a connection does.
    #[must_use]
    pub const fn error(message: &'static str) -> Self {
        Self::from_outcome(Outcome::Error(UpstreamError(message)))
    }

    /// Never answers.
    #[must_use]
    pub const fn never() -> Self {
        Self::from_outcome(Outcome::Never)
    }

    /// Answers only after so long, on tokio's clock.
    #[must_use]
    pub const fn after(mut self, delay: Duration) -> Self {
        self.after = delay;
        self
    }

    const fn from_outcome(outcome: Outcome<R>) -> Self {
        Self {
            outcome,
            after: Duration::ZERO,
        }
    }
}

impl<R> From<Response<R>> for Answer<R> {
    fn from(response: Response<R>) -> Self {
        Self::from_outcome(Outcome::Response(response))
    }
}

/// What an [`Upstream`](crate::Upstream) fails with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UpstreamError(pub &'static str);

impl fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for UpstreamError {}

/// A response of status 200.
#[must_use]
pub fn ok() -> Response<Full<Bytes>> {
    Response::new(Full::from("done"))
}

/// A response of status 429 that does not say for how long.
#[must_use]
pub fn throttled() -> Response<Full<Bytes>> {
    with_status(StatusCode::TOO_MANY_REQUESTS)
}

/// A response of status 429 with a `Retry-After` of so many seconds.
#[must_use]
pub fn throttled_for(seconds: u64) -> Response<Full<Bytes>> {
    let mut response = throttled();
    response.headers_mut().insert(RETRY_AFTER, seconds.into());
    response
}

/// An empty response of this status.
#[must_use]
pub fn with_status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}

/// A response of this status, as a number, with a JSON body.
///
/// # Panics
///
/// If `status` is not between 100 and 999.
#[must_use]
pub fn json(status: u16, value: &serde_json::Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(value.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

/// A response of status 200 with an event stream: one event for each string, its data.
///
/// All of it is there at once; [`Steps`](crate::Steps) makes one that takes its time.
#[must_use]
pub fn sse<'a>(events: impl IntoIterator<Item = &'a str>) -> Response<Full<Bytes>> {
    let stream: String = events.into_iter().map(event).collect();
    let mut response = Response::new(Full::from(stream));
    let sse = HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(CONTENT_TYPE, sse);
    response
}

/// One event of an event stream, with this data.
#[must_use]
pub fn event(data: &str) -> String {
    format!("data: {data}\n\n")
}
