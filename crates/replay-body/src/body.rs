use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::put_back::PutBack;
use crate::tape::Tape;
use crate::whole::{Part, Whole};
use crate::{Kept, Replay};

pin_project! {
    /// A request body that can be sent again, if it is small enough.
    ///
    /// It is either *complete*, all of it in memory, or it *records* another body as that one
    /// flows, up to a cap in bytes. A complete one can be replayed at any time. A recorded one can
    /// be replayed once it has ended within its cap, by whoever [kept](Replay::keep) it; one longer
    /// than its cap flows on undisturbed, and what was recorded of it is freed.
    ///
    /// Trailers are kept and replayed. Errors of the recorded body pass through at their place and
    /// make it impossible to replay.
    ///
    /// # Cancel safety
    ///
    /// Dropping it half way gives up the recording: part of a body is never replayed.
    #[must_use = "a body does nothing unless it is sent"]
    pub struct ReplayBody<B>
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
        // All of it is in memory.
        Complete { whole: Whole, next: Part },
        // It flows from `body`; there is no tape if it was known not to fit one.
        Flowing { #[pin] body: B, tape: Option<Tape> },
        // It failed while it was being collected.
        Failed { read: PutBack<B> },
    }
}

impl<B> ReplayBody<B>
where
    B: Body<Data = Bytes>,
{
    /// Creates a body that is all in memory.
    pub const fn complete(data: Bytes, trailers: Option<HeaderMap>) -> Self {
        Self::from_whole(Whole { data, trailers })
    }

    /// Records `body` as it flows, up to `cap` bytes of data.
    ///
    /// Trailers do not count.
    pub fn tee(body: B, cap: usize) -> Self {
        if body.is_end_stream() {
            return Self::default();
        }
        // What certainly will not fit is not worth the copy.
        let fits = body.size_hint().lower() <= cap as u64;
        let tape = fits.then(|| Tape::new(cap));
        Self {
            state: State::Flowing { body, tape },
        }
    }

    /// Returns whether all of the body is in memory.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.whole().is_some()
    }

    pub(crate) const fn failed(read: PutBack<B>) -> Self {
        Self {
            state: State::Failed { read },
        }
    }

    fn whole(&self) -> Option<Whole> {
        match &self.state {
            State::Complete { whole, .. } => Some(whole.clone()),
            State::Flowing { tape, .. } => tape.as_ref()?.whole(),
            State::Failed { .. } => None,
        }
    }
}

impl<B> ReplayBody<B>
where
    B: Body,
{
    const fn from_whole(whole: Whole) -> Self {
        Self {
            state: State::Complete {
                whole,
                next: Part::Data,
            },
        }
    }
}

impl<B> Replay for ReplayBody<B>
where
    B: Body<Data = Bytes>,
{
    fn replay(&self) -> Option<Self> {
        self.whole().map(Self::from_whole)
    }

    fn bytes(&self) -> Option<Bytes> {
        self.whole().map(|whole| whole.data)
    }

    fn keep(&self) -> Kept<Self> {
        match &self.state {
            State::Flowing {
                tape: Some(tape), ..
            } => Kept::tape(tape.clone(), Self::from_whole),
            _ => Kept::new(self.replay()),
        }
    }
}

impl<B> Body for ReplayBody<B>
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
            StateProj::Complete { whole, next } => Poll::Ready(whole.frame(next).map(Ok)),
            StateProj::Flowing { mut body, tape } => {
                let frame = ready!(body.as_mut().poll_frame(cx));
                if let Some(tape) = tape {
                    record(tape, frame.as_ref(), body.is_end_stream());
                }
                Poll::Ready(frame)
            }
            StateProj::Failed { read } => read.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.state {
            State::Complete { whole, next } => match next {
                Part::Data => whole.data.is_empty() && whole.trailers.is_none(),
                Part::Trailers => whole.trailers.is_none(),
                Part::End => true,
            },
            State::Flowing { body, .. } => body.is_end_stream(),
            State::Failed { read } => read.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.state {
            State::Complete { whole, next } => SizeHint::with_exact(match next {
                Part::Data => whole.data.len() as u64,
                Part::Trailers | Part::End => 0,
            }),
            State::Flowing { body, .. } => body.size_hint(),
            State::Failed { read } => read.size_hint(),
        }
    }
}

/// Notes on the tape what has just flown by; `last` if nothing follows it.
fn record<E>(tape: &Tape, frame: Option<&Result<Frame<Bytes>, E>>, last: bool) {
    match frame {
        Some(Ok(frame)) => {
            if let Some(data) = frame.data_ref() {
                tape.data(data);
            }
            // A reader need not poll again after trailers, or once the body says it has ended.
            if last || frame.is_trailers() {
                tape.end(frame.trailers_ref().cloned());
            }
        }
        Some(Err(_)) => tape.tear(),
        None => tape.end(None),
    }
}

impl<B> Default for ReplayBody<B>
where
    B: Body,
{
    fn default() -> Self {
        Self::from_whole(Whole::default())
    }
}

impl<B> From<Bytes> for ReplayBody<B>
where
    B: Body,
{
    fn from(data: Bytes) -> Self {
        let trailers = None;
        Self::from_whole(Whole { data, trailers })
    }
}

impl<B> fmt::Debug for ReplayBody<B>
where
    B: Body,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Complete { .. } => "Complete",
            State::Flowing { .. } => "Flowing",
            State::Failed { .. } => "Failed",
        };
        // The data is a caller's and does not belong in a log.
        f.debug_struct("ReplayBody")
            .field("state", &format_args!("{state}"))
            .finish_non_exhaustive()
    }
}
