use std::fmt;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

/// A body of which some was read, put together again.
pub(crate) struct PutBack<B>
where
    B: Body, // for `B::Error`
{
    pub(crate) head: Bytes,
    pub(crate) tail: Tail<B>,
}

/// What comes after the part that was read.
pub(crate) enum Tail<B>
where
    B: Body,
{
    End,
    Trailers(HeaderMap),
    // `hint` is what the body said was still to come when it failed. An exact size of what was
    // read would make a cut body look whole to whoever frames it by that size.
    Error { error: B::Error, hint: SizeHint },
    Rest(Pin<Box<B>>),
}

impl<B> PutBack<B>
where
    B: Body<Data = Bytes>,
{
    pub(crate) const fn new(head: Bytes, tail: Tail<B>) -> Self {
        Self { head, tail }
    }

    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if !self.head.is_empty() {
            let head = mem::take(&mut self.head);
            return Poll::Ready(Some(Ok(Frame::data(head))));
        }
        if let Tail::Rest(rest) = &mut self.tail {
            return rest.as_mut().poll_frame(cx);
        }
        let last = match mem::replace(&mut self.tail, Tail::End) {
            Tail::End | Tail::Rest(_) => None,
            Tail::Trailers(trailers) => Some(Ok(Frame::trailers(trailers))),
            Tail::Error { error, .. } => Some(Err(error)),
        };
        Poll::Ready(last)
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.head.is_empty()
            && match &self.tail {
                Tail::End => true,
                Tail::Trailers(_) | Tail::Error { .. } => false,
                Tail::Rest(rest) => rest.is_end_stream(),
            }
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        let (lower, upper) = match &self.tail {
            Tail::End | Tail::Trailers(_) => (0, Some(0)),
            Tail::Error { hint, .. } => (hint.lower(), hint.upper()),
            Tail::Rest(rest) => {
                let hint = rest.size_hint();
                (hint.lower(), hint.upper())
            }
        };
        let head = self.head.len() as u64;
        let mut hint = SizeHint::new();
        hint.set_lower(lower.saturating_add(head));
        if let Some(upper) = upper.and_then(|upper| upper.checked_add(head)) {
            hint.set_upper(upper);
        }
        hint
    }
}

impl<B> fmt::Debug for PutBack<B>
where
    B: Body,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tail = match self.tail {
            Tail::End => "End",
            Tail::Trailers(_) => "Trailers",
            Tail::Error { .. } => "Error",
            Tail::Rest(_) => "Rest",
        };
        f.debug_struct("PutBack")
            .field("head", &self.head.len())
            .field("tail", &format_args!("{tail}"))
            .finish()
    }
}
