use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body;

use crate::link::Link;
use crate::pool::Origin;

/// The body of an answer, which drives the connection it comes by, and gives that back at its end.
#[derive(Debug)]
pub(crate) struct Incoming {
    // None once it is dropped.
    inner: Option<body::Incoming>,
    // None once it is given back.
    link: Option<Box<Link>>,
    origin: Arc<Origin>,
}

impl Incoming {
    pub(crate) fn new(inner: body::Incoming, link: Box<Link>, origin: Arc<Origin>) -> Self {
        let mut body = Self {
            inner: Some(inner),
            link: Some(link),
            origin,
        };
        if body.is_end_stream() {
            body.give_back();
        }
        body
    }

    fn give_back(&mut self) {
        if let Some(link) = self.link.take() {
            self.origin.give_back(link);
        }
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        let Some(inner) = &mut this.inner else {
            return Poll::Ready(None);
        };
        let frame = match &mut this.link {
            Some(link) => ready!(link.poll(cx, |cx| Pin::new(&mut *inner).poll_frame(cx))),
            None => ready!(Pin::new(&mut *inner).poll_frame(cx)),
        };
        let goes_on = matches!(&frame, Some(Ok(frame)) if frame.is_data());
        if !goes_on || inner.is_end_stream() {
            this.give_back();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner
            .as_ref()
            .map_or_else(SizeHint::default, Body::size_hint)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // In this order: a connection whose answer nobody reads skips the rest, if it is there.
        self.inner = None;
        self.give_back();
    }
}
