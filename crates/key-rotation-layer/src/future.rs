use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use replay_body::{PeekBody, Replay};
use throttle_signal::{Read, Trail};
use tokio::time::{Instant, Sleep, sleep_until};
use tower_service::Service;

use crate::attempt::{Again, Sent};
use crate::decision::judge;
use crate::lease::Lease;
use crate::round::Round;

pin_project! {
    /// Response future of [`KeyRotation`](crate::KeyRotation).
    ///
    /// # Cancel safety
    ///
    /// Dropping it gives back the key it used; if it was the probe of an account or key, the next
    /// request is. Nothing is benched for a request that was abandoned.
    ///
    /// # Panics
    ///
    /// Polling panics outside a Tokio runtime with time enabled, once a request with a
    /// [`StartBy`](throttle_signal::StartBy) waits for the service below to go with another key. Polled
    /// again after it completed, it is pending for ever.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S, B, R>
    where
        S: Service<Request<B>>, // for `S::Future`
        R: Body, // for the errors of `PeekBody<R>`
    {
        again: Option<Again<S, B>>,
        round: Round,
        #[pin]
        state: State<S::Future, R>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, R>
    where
        R: Body,
    {
        // The inner service is answering.
        Called { #[pin] future: F, sent: Option<Sent> },
        // The answer is being read for a refusal.
        Reading { #[pin] read: Read<R>, lease: Option<Lease> },
        // Another key is taken and the inner service is making room, until the end of the request's time.
        Readying { next: Option<(Lease, Option<Instant>)>, end: Option<Pin<Box<Sleep>>> },
        // The answer is the pool's own.
        Answered { response: Option<Response<PeekBody<R>>> },
        // The answer was given.
        Done,
    }
}

impl<S, B, R> ResponseFuture<S, B, R>
where
    S: Service<Request<B>>,
    R: Body,
{
    pub(crate) fn called(
        future: S::Future,
        sent: Sent,
        round: Round,
        again: Option<Again<S, B>>,
    ) -> Self {
        Self {
            again,
            round,
            state: State::Called {
                future,
                sent: Some(sent),
            },
        }
    }

    pub(crate) fn answered(response: Response<PeekBody<R>>, round: Round) -> Self {
        Self {
            again: None,
            round,
            state: State::Answered {
                response: Some(response),
            },
        }
    }
}

impl<S, B, R> Future for ResponseFuture<S, B, R>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    B: Replay,
    R: Body<Data = Bytes>,
{
    type Output = Result<Response<PeekBody<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();

        // States are set where they are made: one that is handed around is copied each time, and the
        // future of a whole stack is large.
        let answer = loop {
            match this.state.as_mut().project() {
                StateProj::Called { future, sent } => {
                    let response = match ready!(future.poll(cx)) {
                        Ok(response) => response,
                        Err(error) => break Err(error),
                    };
                    let Some(Sent { reading, lease }) = sent.take() else {
                        return Poll::Pending; // never: the state is left at once
                    };
                    let mut read = reading.read(response);
                    match Pin::new(&mut read).poll(cx) {
                        Poll::Pending => this.state.set(State::Reading { read, lease }),
                        Poll::Ready(response) => {
                            match judge(this.round, this.again.as_ref(), response, lease) {
                                Ok(next) => this.state.set(State::Readying {
                                    next: Some(next),
                                    end: None,
                                }),
                                Err(response) => break Ok(response),
                            }
                        }
                    }
                }
                StateProj::Reading { read, lease } => {
                    let response = ready!(read.poll(cx));
                    match judge(this.round, this.again.as_ref(), response, lease.take()) {
                        Ok(next) => this.state.set(State::Readying {
                            next: Some(next),
                            end: None,
                        }),
                        Err(response) => break Ok(response),
                    }
                }
                StateProj::Readying { next, end } => {
                    let Some(again) = this.again.as_mut() else {
                        return Poll::Pending; // never: only a kept request is sent again
                    };
                    let end_of_time = this.round.facts.start_by();
                    let is_ready = match again.service.poll_ready(cx) {
                        Poll::Ready(Ok(())) => true,
                        Poll::Ready(Err(error)) => break Err(error),
                        Poll::Pending => {
                            ready!(poll_end(end, end_of_time, cx));
                            false
                        }
                    };
                    let (Some((lease, start_by)), Some(request)) =
                        (next.take(), again.request.replay())
                    else {
                        return Poll::Pending; // never: the state is left at once
                    };
                    let now = Instant::now();
                    let place = (request.uri(), request.headers());
                    let in_time = is_ready && end_of_time.is_none_or(|at| now <= at);
                    let renewed = if in_time {
                        this.round.renewed(lease, start_by, place, now)
                    } else {
                        Err(this.round.too_late(lease, place, now))
                    };
                    match renewed {
                        Ok((lease, start_by)) => {
                            let request = lease.apply(request, start_by);
                            let reading = this.round.settings.reader.begin(&request);
                            let future = again.service.call(request);
                            this.round.called(&lease, now);
                            let lease = Some(lease);
                            this.state.set(State::Called {
                                future,
                                sent: Some(Sent { reading, lease }),
                            });
                        }
                        Err(throttle) => {
                            // Its key is out by now, and so is everyone else; or it is too late.
                            again.service = again.service.clone(); // lets go of its readiness
                            let envelope = &this.round.settings.envelope;
                            let mut response = envelope.refuse(throttle, request.headers());
                            this.round.close(Trail::of(response.extensions_mut()), None);
                            break Ok(response);
                        }
                    }
                }
                StateProj::Answered { response } => match response.take() {
                    Some(response) => break Ok(response),
                    None => return Poll::Pending, // never: the state is left at once
                },
                StateProj::Done => return Poll::Pending,
            }
        };
        this.state.set(State::Done);
        Poll::Ready(answer)
    }
}

/// Ready when the time of a request is over.
fn poll_end(
    end: &mut Option<Pin<Box<Sleep>>>,
    start_by: Option<Instant>,
    cx: &mut Context<'_>,
) -> Poll<()> {
    match (end, start_by) {
        (Some(end), _) => end.as_mut().poll(cx),
        (none, Some(at)) => none.insert(Box::pin(sleep_until(at))).as_mut().poll(cx),
        (None, None) => Poll::Pending,
    }
}

impl<S, B, R> fmt::Debug for ResponseFuture<S, B, R>
where
    S: Service<Request<B>>,
    R: Body,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Called { .. } => "Called",
            State::Reading { .. } => "Reading",
            State::Readying { .. } => "Readying",
            State::Answered { .. } => "Answered",
            State::Done => "Done",
        };
        f.debug_struct("ResponseFuture")
            .field("state", &format_args!("{state}"))
            .finish_non_exhaustive()
    }
}
