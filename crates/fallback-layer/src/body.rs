use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::response::Parts;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use replay_body::PeekBody;
use tokio::time::{Sleep, sleep};

pin_project! {
    /// Response body of [`Fallback`](crate::Fallback): the inner one, handed on frame by frame.
    ///
    /// A stream that falls silent for longer than its candidate's [`stall`](crate::Candidate::stall) ends
    /// with an event that says so. The time while nobody asks for more does not count.
    ///
    /// # Cancel safety
    ///
    /// As the inner body's: it keeps nothing between polls that dropping would lose elsewhere.
    #[must_use = "a body does nothing unless it is read"]
    pub struct ResponseBody<B>
    where
        B: Body, // for `B::Error`
    {
        // None once it was given up.
        #[pin]
        inner: Option<PeekBody<B>>,
        silence: Option<Box<Silence>>,
    }
}

/// How long a stream may be silent, and has been.
struct Silence {
    most: Duration,
    // Runs while somebody waits for a frame.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<B: Body> ResponseBody<B> {
    /// Hands on `inner` as it is.
    pub const fn new(inner: PeekBody<B>) -> Self {
        Self {
            inner: Some(inner),
            silence: None,
        }
    }

    /// Hands on `inner`, which is to be given up after so long a silence.
    pub(crate) fn impatient(inner: PeekBody<B>, most: Duration) -> Self {
        Self {
            inner: Some(inner),
            silence: Some(Box::new(Silence { most, timer: None })),
        }
    }
}

/// Whether a response is a stream of events that can end with one more.
pub(crate) fn is_stream(parts: &Parts) -> bool {
    let content_type = parts.headers.get(CONTENT_TYPE);
    let encoding = parts.headers.get(CONTENT_ENCODING);
    parts.status.is_success()
        && encoding.is_none_or(|it| it == "identity")
        && content_type.is_some_and(|it| it.as_bytes().starts_with(b"text/event-stream"))
}

impl Silence {
    /// Ready once it has lasted too long.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let most = self.most;
        self.timer
            .get_or_insert_with(|| Box::pin(sleep(most)))
            .as_mut()
            .poll(cx)
    }

    /// The last event of a stream that was given up. The empty line ends one that was torn.
    fn event(&self) -> Bytes {
        let most = self.most;
        let event = format!(
            "\n\nevent: error\ndata: {{\"error\":{{\"message\":\"the stream stalled: nothing came for \
             {most:?}\",\"type\":\"server_error\",\"param\":null,\"code\":\"stream_stalled\"}}}}\n\n"
        );
        Bytes::from(event)
    }
}

impl<B> Body for ResponseBody<B>
where
    B: Body<Data = Bytes>,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        let Some(inner) = this.inner.as_mut().as_pin_mut() else {
            return Poll::Ready(None);
        };
        match (inner.poll_frame(cx), this.silence.as_mut()) {
            (Poll::Pending, Some(silence)) => {
                ready!(silence.poll(cx));
                let event = silence.event();
                this.inner.set(None); // lets go of the connection
                Poll::Ready(Some(Ok(Frame::data(event))))
            }
            (frame, Some(silence)) => {
                silence.timer = None;
                frame
            }
            (frame, None) => frame,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.inner, &self.silence) {
            (Some(inner), None) => inner.size_hint(),
            // It may end sooner, and with an event more.
            (Some(inner), Some(_)) if inner.is_end_stream() => SizeHint::with_exact(0),
            (Some(_), Some(_)) => SizeHint::default(),
            (None, _) => SizeHint::with_exact(0),
        }
    }
}

impl<B: Body> From<PeekBody<B>> for ResponseBody<B> {
    fn from(inner: PeekBody<B>) -> Self {
        Self::new(inner)
    }
}

impl<B: Body> Default for ResponseBody<B> {
    fn default() -> Self {
        Self::new(PeekBody::empty())
    }
}

impl<B: Body> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody")
            .field("stall", &self.silence.as_ref().map(|silence| silence.most))
            .finish_non_exhaustive()
    }
}
