use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::Body;
use http_body_util::{Empty, Full};

use crate::Kept;

/// A request body that may be sent a second time.
///
/// Layers that send a request again are bounded by this trait rather than by [`Clone`]: whether a
/// body can go twice is known only at run time when it streams, and a body that cannot is sent once
/// and its answer passed on, which is not an error.
///
/// [`Full<Bytes>`](Full), [`Empty<Bytes>`](Empty) and [`ReplayBody`](crate::ReplayBody) have it.
/// Any other body gets it from a [`ReplayLayer`](crate::ReplayLayer) further out.
///
/// # Example
///
/// ```
/// use bytes::Bytes;
/// use http_body_util::Full;
/// use replay_body::Replay;
///
/// let body = Full::new(Bytes::from("hello"));
/// assert_eq!(body.bytes().as_deref(), Some(&b"hello"[..]));
/// assert!(body.replay().is_some());
/// ```
pub trait Replay: Sized {
    /// Returns a body that yields the same again, from its first byte, or `None` if that cannot be
    /// done or not yet.
    ///
    /// Cheap: it shares the bytes and does not copy them. Ask before the body is polled: a
    /// [`Full`] forgets what it has yielded.
    fn replay(&self) -> Option<Self>;

    /// Returns the data of the whole body if all of it is at hand.
    ///
    /// `None` says only that it is not: the body may still have data, or have lost it.
    fn bytes(&self) -> Option<Bytes>;

    /// Returns what to hold on to while this body is sent, to ask later for a
    /// [replay](Kept::replay).
    ///
    /// It differs from [`replay`](Self::replay) for a body that is recorded as it flows: that one
    /// cannot be replayed before it is sent, but afterwards it can.
    fn keep(&self) -> Kept<Self> {
        Kept::new(self.replay())
    }
}

impl Replay for Full<Bytes> {
    fn replay(&self) -> Option<Self> {
        Some(self.clone())
    }

    fn bytes(&self) -> Option<Bytes> {
        let mut copy = self.clone();
        let mut cx = Context::from_waker(Waker::noop());
        match Pin::new(&mut copy).poll_frame(&mut cx) {
            Poll::Ready(Some(Ok(frame))) => frame.into_data().ok(),
            Poll::Ready(None) => Some(Bytes::new()),
            Poll::Pending => None, // `Full` never is
        }
    }
}

impl Replay for Empty<Bytes> {
    fn replay(&self) -> Option<Self> {
        Some(Self::new())
    }

    fn bytes(&self) -> Option<Bytes> {
        Some(Bytes::new())
    }
}
