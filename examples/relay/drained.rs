use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::EXPECT;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::runtime::Handle;
use tokio::time::timeout;

/// How long the rest of a body is read that nobody wants.
const WITHIN: Duration = Duration::from_secs(30);

/// The body of a request. If it is dropped before its end, the rest is read and thrown away, while the
/// caller is answered.
///
/// A connection closed with something unread in it is reset, and the reset takes the answer with it: who
/// sends its body after its head would never learn that it was refused. Drained, it serves the next
/// request.
#[derive(Debug)]
pub(crate) struct Drained<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static, // for the drop
{
    // None at its end: one without a length does not know that it is there.
    inner: Option<B>,
    // Not before somebody reads it, where the caller waits for that: told no, it sends none.
    is_sent: bool,
}

impl<B> Drained<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    /// The body of this request, drained.
    pub(crate) fn of(request: Request<B>) -> Request<Self> {
        let is_sent = !request.headers().contains_key(EXPECT);
        request.map(|body| Self {
            inner: Some(body),
            is_sent,
        })
    }
}

impl<B> Body for Drained<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        self.is_sent = true;
        let Some(inner) = &mut self.inner else {
            return Poll::Ready(None);
        };
        let frame = ready!(Pin::new(inner).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.inner = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner
            .as_ref()
            .map_or_else(SizeHint::default, Body::size_hint)
    }
}

impl<B> Drop for Drained<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    fn drop(&mut self) {
        let rest = self.inner.take().filter(|rest| !rest.is_end_stream());
        let (Some(mut rest), true) = (rest, self.is_sent) else {
            return;
        };
        // None if the thread is about to end.
        if let Ok(runtime) = Handle::try_current() {
            let drain = async move { while let Some(Ok(_)) = rest.frame().await {} };
            runtime.spawn(async { timeout(WITHIN, drain).await });
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;
    use tokio::time::Instant;

    use super::*;

    /// What comes by a channel, and never ends.
    struct Coming(mpsc::Receiver<Bytes>);

    impl Body for Coming {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            let data = self.0.poll_recv(cx);
            data.map(|data| data.map(|data| Ok(Frame::data(data))))
        }
    }

    fn coming(request: http::request::Builder) -> (mpsc::Sender<Bytes>, Request<Drained<Coming>>) {
        let (sender, receiver) = mpsc::channel(1);
        let request = request.body(Coming(receiver)).unwrap();
        (sender, Drained::of(request))
    }

    #[tokio::test(start_paused = true)]
    async fn the_rest_is_read_when_nobody_wants_it_and_not_for_ever() {
        let (sender, request) = coming(Request::post("/"));
        let start = Instant::now();
        drop(request);
        for _ in 0..3 {
            sender.send(Bytes::from_static(b"x")).await.unwrap();
        }
        sender.closed().await;
        assert_eq!(start.elapsed(), WITHIN);
    }

    #[tokio::test]
    async fn what_was_read_to_its_end_is_not_read_again() {
        let (sender, request) = coming(Request::post("/"));
        drop(sender);
        let mut body = request.into_body();
        assert!(body.frame().await.is_none());
        drop(body);
        assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_to_be_told_to_send_is_waited_for_only_if_told() {
        let expecting = || Request::post("/").header(EXPECT, "100-continue");
        let (sender, request) = coming(expecting());
        drop(request);
        assert!(sender.is_closed());

        let (sender, request) = coming(expecting());
        let mut body = request.into_body();
        assert!(timeout(Duration::ZERO, body.frame()).await.is_err());
        drop(body);
        sender.send(Bytes::from_static(b"x")).await.unwrap();
        assert!(!sender.is_closed());
    }
}
