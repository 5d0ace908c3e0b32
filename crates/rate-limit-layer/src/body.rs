use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use replay_body::PeekBody;

use crate::partition::Permit;
use crate::scan::Scan;

pin_project! {
    /// Response body of [`RateLimit`](crate::RateLimit): the inner one, handed on frame by frame,
    /// while the usage it reports is looked for.
    ///
    /// # Cancel safety
    ///
    /// Dropping it before its end settles the request by what was reported until then, or by what
    /// was estimated.
    #[must_use = "a body does nothing unless it is read"]
    pub struct ResponseBody<B>
    where
        B: Body, // for `B::Error`
    {
        #[pin]
        inner: PeekBody<B>,
        meter: Option<Meter>,
    }
}

/// Settles a request when its answer has ended, or is dropped.
#[derive(Debug)]
pub(crate) struct Meter {
    permit: Option<Permit>,
    scan: Option<Scan>,
}

impl<B: Body> ResponseBody<B> {
    pub(crate) const fn new(inner: PeekBody<B>) -> Self {
        Self { inner, meter: None }
    }

    pub(crate) const fn metered(inner: PeekBody<B>, meter: Meter) -> Self {
        Self {
            inner,
            meter: Some(meter),
        }
    }
}

impl<B> Body for ResponseBody<B>
where
    B: Body<Data = Bytes>,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.inner.as_mut().poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let (Some(meter), Some(data)) = (this.meter.as_mut(), frame.data_ref()) {
                    meter.data(data);
                }
                // A reader need not poll again after trailers, or once the body says it has ended.
                if frame.is_trailers() || this.inner.is_end_stream() {
                    *this.meter = None;
                }
            }
            Some(Err(_)) | None => *this.meter = None,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B: Body> Default for ResponseBody<B> {
    fn default() -> Self {
        Self::new(PeekBody::empty())
    }
}

impl<B: Body> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody")
            .field("metered", &self.meter.is_some())
            .finish_non_exhaustive()
    }
}

impl Meter {
    pub(crate) fn new(permit: Permit, headers: &HeaderMap) -> Self {
        Self {
            permit: Some(permit),
            scan: Scan::begin(headers),
        }
    }

    fn data(&mut self, data: &[u8]) {
        if let Some(scan) = &mut self.scan {
            scan.chunk(data);
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        let found = self.scan.as_ref().and_then(Scan::found);
        if let (Some(permit), Some(usage)) = (self.permit.take(), found) {
            permit.used(usage);
        }
        // Without a report the permit, dropped, keeps what was estimated.
    }
}
