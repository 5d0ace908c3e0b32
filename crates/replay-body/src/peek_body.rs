use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::put_back::{PutBack, Tail};

pin_project! {
    /// A response body that may have been looked into.
    ///
    /// It is the body of the inner service untouched and unboxed; or one that was read to some
    /// point by [`Peek`](crate::Peek) and yields all of it again; or one made here, all in memory,
    /// for an answer of our own.
    ///
    /// Data, trailers, errors, [`size_hint`](Body::size_hint) and
    /// [`is_end_stream`](Body::is_end_stream) are those of the inner body. Data that was read
    /// comes again as one frame.
    ///
    /// # Cancel safety
    ///
    /// As the inner body's: it keeps nothing between polls that dropping would lose elsewhere.
    #[must_use = "a body does nothing unless it is read"]
    pub struct PeekBody<B>
    where
        B: Body, // for `B::Error`
    {
        #[pin]
        state: State<B>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<B>
    where
        B: Body,
    {
        Untouched { #[pin] body: B },
        PutBack { read: PutBack<B> },
    }
}

impl<B> PeekBody<B>
where
    B: Body,
{
    /// Wraps a body nothing was read of.
    pub const fn new(body: B) -> Self {
        Self {
            state: State::Untouched { body },
        }
    }

    /// Creates a body of this data.
    pub const fn full(data: Bytes) -> Self {
        Self::put_back(PutBack {
            head: data,
            tail: Tail::End,
        })
    }

    /// Creates a body without data.
    pub const fn empty() -> Self {
        Self::full(Bytes::new())
    }

    pub(crate) const fn put_back(read: PutBack<B>) -> Self {
        Self {
            state: State::PutBack { read },
        }
    }
}

impl<B> Body for PeekBody<B>
where
    B: Body<Data = Bytes>,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().state.project() {
            StateProj::Untouched { body } => body.poll_frame(cx),
            StateProj::PutBack { read } => read.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.state {
            State::Untouched { body } => body.is_end_stream(),
            State::PutBack { read } => read.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.state {
            State::Untouched { body } => body.size_hint(),
            State::PutBack { read } => read.size_hint(),
        }
    }
}

/// An empty body, whether or not the inner one has a default: layers that answer in the inner
/// service's stead, such as tower-http's `TimeoutLayer`, ask for one.
impl<B> Default for PeekBody<B>
where
    B: Body,
{
    fn default() -> Self {
        Self::empty()
    }
}

impl<B> fmt::Debug for PeekBody<B>
where
    B: Body,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut body = f.debug_struct("PeekBody");
        if let State::PutBack { read } = &self.state {
            body.field("read", read);
        }
        body.finish_non_exhaustive()
    }
}
