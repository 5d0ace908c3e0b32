use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

/// How often a body is looked at again, a turn of the others on this thread apart, before what was read
/// goes on: an upstream that writes event by event has often written the next by then.
const LOOKS: u8 = 3;

/// The longest piece made of several.
const LONGEST: usize = 64 << 10;

pin_project! {
    /// A body whose pieces go on together as far as they are here already: one write in place of many.
    ///
    /// It never waits for another piece. A piece that is alone goes on as soon as the connection had a
    /// turn and had no more. What was read goes on before an error or the end, in its order.
    pub(crate) struct Merge<B>
    where
        B: Body, // for `B::Error`
    {
        #[pin]
        inner: B,
        // Off: everything goes on as it comes.
        merges: bool,
        piece: Piece,
        // What comes after the piece.
        next: Option<Result<Frame<Bytes>, B::Error>>,
        ended: bool,
        // How many looks at the inner body in a row were in vain.
        looks: u8,
    }
}

/// What was read and has not gone on.
#[derive(Debug, Default)]
enum Piece {
    #[default]
    Nothing,
    One(Bytes),
    Several(BytesMut),
}

impl<B: Body> Merge<B> {
    pub(crate) const fn new(inner: B, merges: bool) -> Self {
        Self {
            inner,
            merges,
            piece: Piece::Nothing,
            next: None,
            ended: false,
            looks: 0,
        }
    }
}

impl<B: Body<Data = Bytes>> Body for Merge<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        if !*this.merges {
            return this.inner.poll_frame(cx);
        }
        if this.next.is_some() {
            return Poll::Ready(this.next.take());
        }
        if *this.ended {
            return Poll::Ready(None);
        }
        loop {
            match this.inner.as_mut().poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => {
                        this.piece.push(data);
                        *this.looks = 0;
                        if this.piece.len() < LONGEST {
                            continue;
                        }
                    }
                    Err(trailers) => *this.next = Some(Ok(trailers)),
                },
                Poll::Ready(Some(Err(error))) => *this.next = Some(Err(error)),
                Poll::Ready(None) => *this.ended = true,
                Poll::Pending if this.piece.is_nothing() => return Poll::Pending,
                Poll::Pending if *this.looks < LOOKS => {
                    *this.looks += 1;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Pending => {}
            }
            break;
        }
        *this.looks = 0;
        match this.piece.take() {
            Some(data) => Poll::Ready(Some(Ok(Frame::data(data)))),
            None => Poll::Ready(this.next.take()),
        }
    }

    fn is_end_stream(&self) -> bool {
        let nothing = self.piece.is_nothing() && self.next.is_none();
        nothing && (self.ended || self.inner.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        if self.merges {
            SizeHint::default()
        } else {
            self.inner.size_hint()
        }
    }
}

impl Piece {
    fn push(&mut self, data: Bytes) {
        if data.is_empty() {
            return;
        }
        match self {
            Self::Nothing => *self = Self::One(data),
            Self::One(one) => {
                let mut several = BytesMut::with_capacity(4 * (one.len() + data.len()));
                several.extend_from_slice(one);
                several.extend_from_slice(&data);
                *self = Self::Several(several);
            }
            Self::Several(several) => several.extend_from_slice(&data),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::One(one) => one.len(),
            Self::Several(several) => several.len(),
        }
    }

    const fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    fn take(&mut self) -> Option<Bytes> {
        match std::mem::take(self) {
            Self::Nothing => None,
            Self::One(one) => Some(one),
            Self::Several(several) => Some(several.freeze()),
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use test_support::Steps;

    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// What comes out of a body, and when, in milliseconds.
    async fn pieces(steps: Steps) -> Vec<(u128, String)> {
        let start = Instant::now();
        let mut body = Box::pin(Merge::new(steps, true));
        let mut pieces = Vec::new();
        while let Some(frame) = body.frame().await {
            let text = match frame {
                Ok(frame) => match frame.into_data() {
                    Ok(data) => String::from_utf8(data.to_vec()).unwrap(),
                    Err(_) => "trailers".to_owned(),
                },
                Err(_) => "error".to_owned(),
            };
            pieces.push((start.elapsed().as_millis(), text));
        }
        assert!(body.is_end_stream());
        pieces
    }

    fn expected(pieces: &[(u128, &str)]) -> Vec<(u128, String)> {
        pieces
            .iter()
            .map(|(at, text)| (*at, (*text).to_owned()))
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_slowly_goes_on_at_once() {
        let steps = Steps::new()
            .data("a")
            .wait(ms(5))
            .data("b")
            .wait(ms(5))
            .data("c");
        let expected = expected(&[(0, "a"), (5, "b"), (10, "c")]);
        assert_eq!(pieces(steps).await, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_here_goes_on_together_and_waits_for_nothing() {
        let steps = Steps::new().data("a").data("b").wait(ms(1)).data("c");
        let expected = expected(&[(0, "ab"), (1, "c")]);
        assert_eq!(pieces(steps).await, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_piece_has_a_longest() {
        let half = "x".repeat(LONGEST / 2);
        let steps = (0..4).fold(Steps::new(), |steps, _| steps.data(half.clone()));
        let lengths = pieces(steps).await;
        let lengths: Vec<_> = lengths.iter().map(|(_, text)| text.len()).collect();
        assert_eq!(lengths, [LONGEST, LONGEST]);
    }

    #[tokio::test(start_paused = true)]
    async fn trailers_and_errors_come_after_what_was_before_them() {
        let steps = Steps::new().data("a").data("b").error("broken");
        assert_eq!(
            pieces(steps).await[..2],
            expected(&[(0, "ab"), (0, "error")])
        );
        let steps = Steps::new().data("a").trailers(http::HeaderMap::new());
        assert_eq!(pieces(steps).await, expected(&[(0, "a"), (0, "trailers")]));
        assert_eq!(pieces(Steps::new()).await, []);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_not_to_be_merged_passes_with_its_size() {
        let body = http_body_util::Full::new(Bytes::from("ab"));
        let mut body = Box::pin(Merge::new(body, false));
        assert_eq!(body.size_hint().exact(), Some(2));
        let frame = body.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "ab");
        assert!(body.is_end_stream());
    }
}
