use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::ReplayBody;
use crate::gather::Gather;
use crate::put_back::{PutBack, Tail};

pin_project! {
    /// Response future of [`ReplayService`](crate::ReplayService).
    #[must_use = "futures do nothing unless polled"]
    pub struct ReplayFuture<S, B>
    where
        S: Service<Request<ReplayBody<B>>>, // for `S::Future`
        B: Body,
    {
        #[pin]
        state: State<S, S::Future, B>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, F, B>
    where
        B: Body,
    {
        // The caller is sending the body. The service is ready until there is a wait.
        Collecting {
            service: Option<S>,
            ready: bool,
            head: Option<Request<()>>,
            #[pin]
            body: B,
            size: usize,
            gather: Gather,
        },
        // The body is here and the inner service is making room, unless it is ready still.
        Readying { service: S, request: Option<Request<ReplayBody<B>>> },
        // The inner service is answering.
        Called { #[pin] future: F },
    }
}

impl<S, B> ReplayFuture<S, B>
where
    S: Service<Request<ReplayBody<B>>>,
    B: Body,
{
    pub(crate) const fn called(future: S::Future) -> Self {
        Self {
            state: State::Called { future },
        }
    }

    /// Collects the body, of a stated size, first; `service` has been made ready.
    pub(crate) fn collect(request: Request<B>, size: usize, service: S) -> Self {
        let (parts, body) = request.into_parts();
        Self {
            state: State::Collecting {
                service: Some(service),
                ready: true,
                head: Some(Request::from_parts(parts, ())),
                body,
                size,
                gather: Gather::default(),
            },
        }
    }
}

impl<S, B> Future for ReplayFuture<S, B>
where
    S: Service<Request<ReplayBody<B>>> + Clone,
    B: Body<Data = Bytes>,
{
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();

        loop {
            let next = match this.state.as_mut().project() {
                StateProj::Collecting {
                    service,
                    ready,
                    head,
                    body,
                    size,
                    gather,
                } => {
                    let Poll::Ready(body) = poll_collect(body, *size, gather, cx) else {
                        if mem::take(ready) {
                            // A clone is not ready; the instance that was lets go by being dropped.
                            *service = service.clone();
                        }
                        return Poll::Pending;
                    };
                    let (Some(service), Some(head)) = (service.take(), head.take()) else {
                        return Poll::Pending; // never: the state is left at once
                    };
                    State::Readying {
                        service,
                        request: Some(head.map(|()| body)),
                    }
                }
                StateProj::Readying { service, request } => {
                    ready!(service.poll_ready(cx))?;
                    let Some(request) = request.take() else {
                        return Poll::Pending; // never: the state is left at once
                    };
                    State::Called {
                        future: service.call(request),
                    }
                }
                StateProj::Called { future } => return future.poll(cx),
            };
            this.state.set(next);
        }
    }
}

/// Reads the body to its end, or to its error, which then goes down as the body's own.
fn poll_collect<B>(
    mut body: Pin<&mut B>,
    size: usize,
    gather: &mut Gather,
    cx: &mut Context<'_>,
) -> Poll<ReplayBody<B>>
where
    B: Body<Data = Bytes>,
{
    let mut trailers: Option<HeaderMap> = None;
    while trailers.is_none() && !body.is_end_stream() {
        let hint = body.size_hint();
        match ready!(body.as_mut().poll_frame(cx)) {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => gather.push(data, size),
                Err(frame) => trailers = frame.into_trailers().ok(),
            },
            Some(Err(error)) => {
                let head = mem::take(gather).into_bytes();
                let read = PutBack::new(head, Tail::Error { error, hint });
                return Poll::Ready(ReplayBody::failed(read));
            }
            None => break,
        }
    }
    let data = mem::take(gather).into_bytes();
    Poll::Ready(ReplayBody::complete(data, trailers))
}

impl<S, B> fmt::Debug for ReplayFuture<S, B>
where
    S: Service<Request<ReplayBody<B>>>,
    B: Body,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Collecting { .. } => "Collecting",
            State::Readying { .. } => "Readying",
            State::Called { .. } => "Called",
        };
        f.debug_struct("ReplayFuture")
            .field("state", &format_args!("{state}"))
            .finish_non_exhaustive()
    }
}
