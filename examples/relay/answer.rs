use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{HeaderMap, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use throttle_signal::{Classified, Trail};

use crate::record::Record;
use crate::refusal::{RETRY_AFTER_MS, SHOULD_RETRY, millis_up};

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MODEL: HeaderName = HeaderName::from_static("x-relay-model");
const ACCOUNT: HeaderName = HeaderName::from_static("x-relay-account");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-relay-attempts");
const WAITED: HeaderName = HeaderName::from_static("x-relay-waited-ms");

/// Whether a header concerns the connection to the upstream, or tells whose account it is, and stays
/// here.
fn is_withheld(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "openai-organization"
            | "openai-project"
            | "proxy-connection"
            | "set-cookie"
            | "transfer-encoding"
            | "upgrade"
            | "x-fallback-attempts"
            | "x-fallback-candidate"
    )
}

/// Takes out what is not to go on. There is little of it, and there are few headers: looking at those
/// that are there costs less than asking for each that might be.
pub(crate) fn withhold(headers: &mut HeaderMap, is_withheld: fn(&HeaderName) -> bool) {
    let withheld: Vec<_> = headers
        .keys()
        .filter(|name| is_withheld(name))
        .cloned()
        .collect();
    for name in withheld {
        headers.remove(name);
    }
}

/// Tells the caller how the answer came about.
pub(crate) fn tell<B>(response: &mut Response<B>, trail: &Trail, id: HeaderValue) {
    let refused =
        Classified::throttle(response.extensions()).map(|throttle| throttle.wait().known());
    let tried = trail.attempts > 0;
    let failed = refused.is_some() || response.status().is_server_error();
    let headers = response.headers_mut();
    withhold(headers, is_withheld);
    headers.insert(REQUEST_ID, id);
    if let Some(model) = trail.candidate.as_ref().or(trail.model.as_ref()) {
        insert(headers, MODEL, model);
    }
    if let Some(key) = &trail.key {
        insert(headers, ACCOUNT, key.as_str());
    }
    headers.insert(ATTEMPTS, trail.attempts.into());
    headers.insert(WAITED, millis_up(trail.waited).into());
    if let Some(Some(wait)) = refused {
        let ms = millis_up(wait);
        headers.insert(RETRY_AFTER, ms.div_ceil(1000).into());
        headers.insert(RETRY_AFTER_MS, ms.into());
    }
    if failed && tried {
        headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
    }
}

fn insert(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}

/// What a stream ends with that the upstream broke off.
const BROKEN: &[u8] = br#"data: {"error":{"message":"The upstream broke off.","type":"server_error","param":null,"code":"upstream_broken"}}

"#;

pin_project! {
    /// The body of an answer, handed on frame by frame. When it ends, or is dropped, its record is
    /// complete.
    ///
    /// What the upstream breaks off ends with an error here, too: the connection is cut, so that nobody
    /// takes a part for the whole. A stream of events has a last one before that, which says so, unless
    /// it broke within an event.
    ///
    /// The error comes a turn late: hyper drops what it has not written when a body fails, and the
    /// caller is to have what came before, its head above all.
    pub(crate) struct Answer<B>
    where
        B: Body, // for `B::Error`
    {
        #[pin]
        inner: B,
        record: Option<Record>,
        streams: bool,
        // Whether an event could begin here.
        between_events: bool,
        end: End<B::Error>,
    }
}

/// How far the end of a broken answer has gone.
enum End<E> {
    None,
    /// The event that says so is out, or there is none.
    Said(E),
    /// What came before has been written.
    Due(E),
    Over,
}

impl<B: Body> Answer<B> {
    /// The body `inner`, which is a stream of events or not.
    pub(crate) const fn new(inner: B, record: Record, streams: bool) -> Self {
        Self {
            inner,
            record: Some(record),
            streams,
            between_events: streams,
            end: End::None,
        }
    }
}

impl<B: Body<Data = Bytes>> Body for Answer<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        match std::mem::replace(this.end, End::Over) {
            End::None => *this.end = End::None,
            End::Said(error) => {
                *this.end = End::Due(error);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            End::Due(error) => return Poll::Ready(Some(Err(error))),
            End::Over => return Poll::Ready(None),
        }
        let frame = ready!(this.inner.as_mut().poll_frame(cx));
        let over = match frame {
            Some(Ok(ref frame)) => {
                if let Some(data) = frame.data_ref() {
                    if let Some(record) = this.record {
                        record.data(data);
                    }
                    *this.between_events = *this.streams && ends_event(data);
                }
                frame.is_trailers() || this.inner.is_end_stream()
            }
            Some(Err(error)) => {
                if let Some(record) = this.record.take() {
                    record.broken();
                }
                if *this.between_events {
                    *this.end = End::Said(error);
                    return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(BROKEN)))));
                }
                *this.end = End::Due(error);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            None => true,
        };
        if over {
            if let Some(record) = this.record.take() {
                record.complete();
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match self.end {
            End::None => self.inner.is_end_stream(),
            End::Said(_) | End::Due(_) => false,
            End::Over => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Whether what comes next begins an event.
fn ends_event(data: &[u8]) -> bool {
    data.ends_with(b"\n\n") || data.ends_with(b"\r\n\r\n") || data.ends_with(b"\r\r")
}
