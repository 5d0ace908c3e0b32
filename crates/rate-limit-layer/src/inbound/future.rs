use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use replay_body::PeekBody;

pin_project! {
    /// Response future of [`Inbound`](super::Inbound).
    #[must_use = "futures do nothing unless polled"]
    pub struct InboundFuture<F, R>
    where
        R: Body,
    {
        #[pin]
        state: State<F, R>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, R>
    where
        R: Body,
    {
        // The inner service is answering; the fields are for its answer.
        Passed { #[pin] future: F, fields: HeaderMap },
        // There was no room.
        Refused { response: Option<Response<PeekBody<R>>> },
    }
}

impl<F, R: Body> InboundFuture<F, R> {
    pub(crate) const fn passed(future: F, fields: HeaderMap) -> Self {
        Self {
            state: State::Passed { future, fields },
        }
    }

    pub(crate) const fn refused(response: Response<PeekBody<R>>) -> Self {
        Self {
            state: State::Refused {
                response: Some(response),
            },
        }
    }
}

impl<F, R, E> Future for InboundFuture<F, R>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Body<Data = Bytes>,
{
    type Output = Result<Response<PeekBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Passed { future, fields } => {
                let mut response = ready!(future.poll(cx))?.map(PeekBody::new);
                response.headers_mut().extend(mem::take(fields));
                Poll::Ready(Ok(response))
            }
            StateProj::Refused { response } => Poll::Ready(Ok(response.take().unwrap_or_default())),
        }
    }
}

impl<F, R: Body> fmt::Debug for InboundFuture<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Passed { .. } => "Passed",
            State::Refused { .. } => "Refused",
        };
        f.debug_struct("InboundFuture")
            .field("state", &format_args!("{state}"))
            .finish_non_exhaustive()
    }
}
