use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Body;

use crate::Peeked;
use crate::gather::Gather;
use crate::put_back::{PutBack, Tail};

/// Future that reads the beginning of a response body.
///
/// It reads frames, each whole, until the first of: the body's end, its trailers, an error, so many
/// bytes read, or the [condition](Self::until) met. None of it is lost:
/// [`Peeked::into_body`] yields all of it again.
///
/// The body is boxed, since it is pinned while being read and moves on afterwards. One that says it
/// has ended is not.
///
/// # Cancel safety
///
/// Dropping it drops the body and what was read of it, nothing else. Until it completes it can be
/// polled again at any time, such as after losing a race with a timer, and goes on where it was.
///
/// # Panics
///
/// Never. Polled again after it completed, it is pending for ever.
///
/// # Example
///
/// ```
/// use bytes::Bytes;
/// use http_body_util::{BodyExt, Full};
/// use replay_body::Peek;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), std::convert::Infallible> {
/// let body = Full::new(Bytes::from("slow down"));
/// let peeked = Peek::new(body, 64 * 1024).await;
/// assert!(peeked.head().starts_with(b"slow"));
///
/// let body = peeked.into_body();
/// assert_eq!(body.collect().await?.to_bytes(), "slow down");
/// # Ok(())
/// # }
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct Peek<B, P = fn(&[u8]) -> bool> {
    state: State<B>,
    gather: Gather,
    limit: usize,
    stop: P,
}

enum State<B> {
    Reading(Pin<Box<B>>),
    // The body was at its end before it was read.
    Ended,
    Done,
}

impl<B> Peek<B>
where
    B: Body<Data = Bytes>,
{
    /// Reads up to `limit` bytes, and then to the end of the frame they end in.
    ///
    /// With a limit of 0 nothing is read.
    pub fn new(body: B, limit: usize) -> Self {
        let state = if body.is_end_stream() {
            State::Ended
        } else {
            State::Reading(Box::pin(body))
        };
        Self {
            state,
            gather: Gather::default(),
            limit,
            stop: |_| false,
        }
    }

    /// Reads no further once `stop` says that what was read so far is enough.
    ///
    /// It is asked after each frame, with everything read since the first byte.
    pub fn until<P>(self, stop: P) -> Peek<B, P>
    where
        P: FnMut(&[u8]) -> bool,
    {
        Peek {
            state: self.state,
            gather: self.gather,
            limit: self.limit,
            stop,
        }
    }
}

impl<B, P> Peek<B, P>
where
    B: Body<Data = Bytes>,
    P: FnMut(&[u8]) -> bool,
{
    /// Reads no further and returns what was read so far, such as when a timer was faster.
    ///
    /// The body may have more of it at any time. Polled afterwards, the future is pending for ever;
    /// stopped again, it returns an empty body.
    pub fn stop(&mut self) -> Peeked<B> {
        self.finish(None)
    }

    /// Puts together what was read and `tail`, `None` for the body as it is.
    fn finish(&mut self, tail: Option<Tail<B>>) -> Peeked<B> {
        let tail = match (tail, mem::replace(&mut self.state, State::Done)) {
            (Some(tail), _) => tail,
            (None, State::Reading(body)) => Tail::Rest(body),
            (None, State::Ended | State::Done) => Tail::End,
        };
        let head = mem::take(&mut self.gather).into_bytes();
        Peeked::new(PutBack::new(head, tail))
    }

    /// Reads on, and returns how the body goes on after what was read, `None` for as it is.
    fn poll_tail(&mut self, cx: &mut Context<'_>) -> Poll<Option<Tail<B>>> {
        let State::Reading(body) = &mut self.state else {
            return Poll::Ready(Some(Tail::End));
        };
        let mut enough = false;
        loop {
            if body.is_end_stream() {
                return Poll::Ready(Some(Tail::End));
            }
            if enough || self.gather.as_slice().len() >= self.limit {
                return Poll::Ready(None);
            }
            let hint = body.size_hint();
            match ready!(body.as_mut().poll_frame(cx)) {
                None => return Poll::Ready(Some(Tail::End)),
                Some(Err(error)) => return Poll::Ready(Some(Tail::Error { error, hint })),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if data.is_empty() => {}
                    Ok(data) => {
                        self.gather.push(data, 0);
                        enough = (self.stop)(self.gather.as_slice());
                    }
                    Err(frame) => {
                        if let Ok(trailers) = frame.into_trailers() {
                            return Poll::Ready(Some(Tail::Trailers(trailers)));
                        }
                    }
                },
            }
        }
    }
}

// The body is pinned in its box, the rest is moved freely.
impl<B, P> Unpin for Peek<B, P> {}

impl<B, P> Future for Peek<B, P>
where
    B: Body<Data = Bytes>,
    P: FnMut(&[u8]) -> bool,
{
    type Output = Peeked<B>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if matches!(self.state, State::Done) {
            return Poll::Pending;
        }
        let tail = ready!(self.poll_tail(cx));
        Poll::Ready(self.finish(tail))
    }
}

impl<B, P> fmt::Debug for Peek<B, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peek")
            .field("read", &self.gather.as_slice().len())
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}
