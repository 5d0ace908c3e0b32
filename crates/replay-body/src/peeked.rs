use bytes::Bytes;
use http::HeaderMap;
use http_body::Body;

use crate::PeekBody;
use crate::put_back::{PutBack, Tail};

/// The beginning of a response body, and the rest.
///
/// What [`Peek`](crate::Peek) returns.
#[derive(Debug)]
#[must_use = "it holds a body"]
pub struct Peeked<B>
where
    B: Body, // for `B::Error`
{
    read: PutBack<B>,
}

impl<B> Peeked<B>
where
    B: Body,
{
    pub(crate) const fn new(read: PutBack<B>) -> Self {
        Self { read }
    }

    /// Returns the data that was read, in one piece.
    ///
    /// Frames are read whole, so it can be longer than the limit. Cloning it copies nothing.
    #[must_use]
    pub const fn head(&self) -> &Bytes {
        &self.read.head
    }

    /// Returns the trailers, if the body had some and was read to them.
    #[must_use]
    pub const fn trailers(&self) -> Option<&HeaderMap> {
        match &self.read.tail {
            Tail::Trailers(trailers) => Some(trailers),
            Tail::End | Tail::Error { .. } | Tail::Rest(_) => None,
        }
    }

    /// Returns the error the body failed with, if it did.
    ///
    /// The body [returned](Self::into_body) fails with it too, at the same place.
    #[must_use]
    pub const fn error(&self) -> Option<&B::Error> {
        match &self.read.tail {
            Tail::Error { error, .. } => Some(error),
            Tail::End | Tail::Trailers(_) | Tail::Rest(_) => None,
        }
    }

    /// Returns whether the head is all the data there is.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        matches!(self.read.tail, Tail::End | Tail::Trailers(_))
    }

    /// Puts what was read back and returns the body as it was.
    pub fn into_body(self) -> PeekBody<B> {
        PeekBody::put_back(self.read)
    }
}
