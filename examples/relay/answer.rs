use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONNECTION, HeaderMap, RETRY_AFTER, SET_COOKIE, TRANSFER_ENCODING};
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

/// What concerns the connection to the upstream, or tells whose account it is, and stays here.
const WITHHELD: [HeaderName; 10] = [
    CONNECTION,
    TRANSFER_ENCODING,
    SET_COOKIE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("upgrade"),
    HeaderName::from_static("openai-organization"),
    HeaderName::from_static("openai-project"),
    HeaderName::from_static("x-fallback-candidate"),
    HeaderName::from_static("x-fallback-attempts"),
];

/// Tells the caller how the answer came about.
pub(crate) fn tell<B>(response: &mut Response<B>, trail: &Trail, id: HeaderValue) {
    let refused =
        Classified::throttle(response.extensions()).map(|throttle| throttle.wait().known());
    let tried = trail.attempts > 0;
    let failed = refused.is_some() || response.status().is_server_error();
    let headers = response.headers_mut();
    for name in &WITHHELD {
        headers.remove(name);
    }
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

pin_project! {
    /// The body of an answer, handed on frame by frame. When it ends, or is dropped, its record is
    /// complete.
    ///
    /// An error comes a turn late: hyper drops what it has not written when a body fails, and the
    /// caller is to have what came before, its head above all.
    pub(crate) struct Answer<B>
    where
        B: Body, // for `B::Error`
    {
        #[pin]
        inner: B,
        record: Option<Record>,
        error: Option<B::Error>,
    }
}

impl<B: Body> Answer<B> {
    pub(crate) const fn new(inner: B, record: Record) -> Self {
        Self {
            inner,
            record: Some(record),
            error: None,
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
        if let Some(error) = this.error.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let frame = ready!(this.inner.as_mut().poll_frame(cx));
        let over = match &frame {
            Some(Ok(frame)) => {
                if let (Some(data), Some(record)) = (frame.data_ref(), this.record.as_mut()) {
                    record.data(data);
                }
                frame.is_trailers() || this.inner.is_end_stream()
            }
            Some(Err(_)) => false,
            None => true,
        };
        if let Some(Err(error)) = frame {
            if let Some(record) = this.record.take() {
                record.broken();
            }
            *this.error = Some(error);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if over {
            if let Some(record) = this.record.take() {
                record.complete();
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.error.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
