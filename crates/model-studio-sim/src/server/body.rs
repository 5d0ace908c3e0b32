use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::Sleep;

use super::charge::Charge;
use super::stop::reset;
use super::wire::Fuse;

/// A response body: whole, or in steps.
#[derive(Debug)]
pub(super) enum Body {
    Whole(Option<Bytes>),
    Steps(Box<Steps>),
}

/// A body that is sent piece by piece.
#[derive(Debug)]
pub(super) struct Steps {
    ahead: VecDeque<Step>,
    sleep: Option<Pin<Box<Sleep>>>,
    charge: Option<Charge>,
}

/// What a body does next.
#[derive(Debug)]
pub(super) enum Step {
    /// Sends bytes that are worth so many tokens of the answer.
    Send(Bytes, u64),
    /// Sends nothing for a while.
    Pause(Duration),
    /// Resets the connection.
    Reset(Fuse),
}

impl Body {
    pub(super) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::Whole(Some(bytes.into()))
    }

    pub(super) fn steps(steps: VecDeque<Step>, charge: Charge) -> Self {
        Self::Steps(Box::new(Steps {
            ahead: steps,
            sleep: None,
            charge: Some(charge),
        }))
    }
}

impl Steps {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            if let Some(sleep) = &mut self.sleep {
                ready!(sleep.as_mut().poll(cx));
                self.sleep = None;
            }
            match self.ahead.pop_front() {
                Some(Step::Send(bytes, tokens)) => {
                    if let Some(charge) = &mut self.charge {
                        charge.add(tokens);
                    }
                    return Poll::Ready(Some(Ok(bytes)));
                }
                Some(Step::Pause(pause)) => {
                    self.sleep = Some(Box::pin(tokio::time::sleep(pause)));
                }
                Some(Step::Reset(fuse)) => {
                    fuse.blow();
                    return Poll::Ready(Some(Err(reset())));
                }
                None => {
                    self.charge = None;
                    return Poll::Ready(None);
                }
            }
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let bytes = match self.get_mut() {
            Self::Whole(bytes) => bytes.take().map(Ok),
            Self::Steps(steps) => ready!(steps.poll(cx)),
        };
        Poll::Ready(bytes.map(|bytes| bytes.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Steps(steps) => steps.ahead.is_empty() && steps.sleep.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Steps(_) => SizeHint::default(),
        }
    }
}
