use std::fmt;

use http::Request;
use http::request::Parts;
use replay_body::{Kept as KeptBody, Replay};

/// The one copy of a request that further attempts are made from.
///
/// Its extensions hold the same facts as the first attempt's, the time of arrival above all: by that a
/// limiter below gives a request its old place back.
pub(crate) struct Kept<B> {
    parts: Parts,
    body: KeptBody<B>,
}

impl<B: Replay> Kept<B> {
    /// Splits a request into itself and what is kept of it.
    pub(crate) fn of(request: Request<B>) -> (Request<B>, Self) {
        let (parts, body) = request.into_parts();
        let kept = Self {
            parts: parts.clone(),
            body: body.keep(),
        };
        (Request::from_parts(parts, body), kept)
    }

    /// The body from its first byte, if it can be sent again.
    pub(crate) fn body(&self) -> Option<B> {
        self.body.replay()
    }

    /// Whom it goes to.
    pub(crate) fn host(&self) -> Option<&str> {
        self.parts.uri.host()
    }

    /// The request again, with this body.
    pub(crate) fn request(&self, body: B) -> Request<B> {
        Request::from_parts(self.parts.clone(), body)
    }
}

impl<B> fmt::Debug for Kept<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers carry keys.
        f.debug_struct("Kept")
            .field("method", &self.parts.method)
            .finish_non_exhaustive()
    }
}
