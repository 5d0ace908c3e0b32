use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;

/// A body at rest: all of its data and its trailers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Whole {
    pub(crate) data: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
}

/// The part of a complete body that comes next.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    Data,
    Trailers,
    End,
}

impl Whole {
    /// Yields what comes next, and moves on.
    pub(crate) fn frame(&self, next: &mut Part) -> Option<Frame<Bytes>> {
        if matches!(next, Part::Data) {
            *next = Part::Trailers;
            if !self.data.is_empty() {
                return Some(Frame::data(self.data.clone()));
            }
        }
        if matches!(next, Part::Trailers) {
            *next = Part::End;
            return self.trailers.clone().map(Frame::trailers);
        }
        None
    }
}
