use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::marker::PhantomPinned;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};

/// A body that does what it is told, step by step, and may misbehave.
///
/// It is [`Unpin`]; [`NotUnpin`] makes one that is not. Without [`stating`](Self::stating) its size
/// is unknown.
///
/// ```
/// use test_support::Steps;
///
/// let cut = Steps::new().data("half of i").error("connection reset").stating(20);
/// # drop(cut);
/// ```
#[derive(Debug, Default)]
pub struct Steps {
    left: VecDeque<Step>,
    stated: Option<u64>,
    sleep: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug)]
enum Step {
    Data(Bytes),
    Trailers(HeaderMap),
    Error(&'static str),
    Wait(Duration),
    Never,
}

impl Steps {
    /// A body that ends at once.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A body that yields a frame for every byte.
    #[must_use]
    pub fn every_byte(data: impl Into<Bytes>) -> Self {
        let data = data.into();
        (0..data.len()).fold(Self::new(), |steps, at| steps.data(data.slice(at..=at)))
    }

    /// Then yields data, in one frame.
    #[must_use]
    pub fn data(self, data: impl Into<Bytes>) -> Self {
        self.then(Step::Data(data.into()))
    }

    /// Then yields trailers.
    #[must_use]
    pub fn trailers(self, trailers: HeaderMap) -> Self {
        self.then(Step::Trailers(trailers))
    }

    /// Then fails. What follows is yielded if it is polled again.
    #[must_use]
    pub fn error(self, message: &'static str) -> Self {
        self.then(Step::Error(message))
    }

    /// Then has nothing for so long, on tokio's clock.
    #[must_use]
    pub fn wait(self, time: Duration) -> Self {
        self.then(Step::Wait(time))
    }

    /// Then hangs.
    #[must_use]
    pub fn never(self) -> Self {
        self.then(Step::Never)
    }

    /// States this many bytes as what it yields, true or not, less what it has yielded.
    #[must_use]
    pub const fn stating(mut self, bytes: u64) -> Self {
        self.stated = Some(bytes);
        self
    }

    /// States what it yields.
    #[must_use]
    pub fn stating_its_size(self) -> Self {
        let len = |step: &Step| match step {
            Step::Data(data) => data.len() as u64,
            _ => 0,
        };
        let size = self.left.iter().map(len).sum();
        self.stating(size)
    }

    fn then(mut self, step: Step) -> Self {
        self.left.push_back(step);
        self
    }
}

impl Body for Steps {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            if let Some(sleep) = &mut self.sleep {
                ready!(sleep.as_mut().poll(cx));
                self.sleep = None;
            }
            let frame = match self.left.pop_front() {
                Some(Step::Data(data)) => {
                    let left = |stated: u64| stated.saturating_sub(data.len() as u64);
                    self.stated = self.stated.map(left);
                    Some(Ok(Frame::data(data)))
                }
                Some(Step::Trailers(trailers)) => Some(Ok(Frame::trailers(trailers))),
                Some(Step::Error(message)) => Some(Err(BodyError(message))),
                Some(Step::Wait(time)) => {
                    self.sleep = Some(Box::pin(sleep(time)));
                    continue;
                }
                Some(Step::Never) => {
                    self.left.push_front(Step::Never);
                    return Poll::Pending;
                }
                None => None,
            };
            return Poll::Ready(frame);
        }
    }

    fn is_end_stream(&self) -> bool {
        // A body that does not state its size does not know its end before it gets there, as one
        // sent in chunks does not.
        self.stated.is_some() && self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.stated.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

/// What [`Steps`] fails with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BodyError(pub &'static str);

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for BodyError {}

pin_project! {
    /// A body that is not [`Unpin`], around any other.
    #[derive(Debug)]
    pub struct NotUnpin<B> {
        #[pin]
        body: B,
        #[pin]
        pinned: PhantomPinned,
    }
}

impl<B> NotUnpin<B> {
    /// Wraps `body`.
    pub const fn new(body: B) -> Self {
        Self {
            body,
            pinned: PhantomPinned,
        }
    }
}

impl<B: Body> Body for NotUnpin<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.project().body.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
