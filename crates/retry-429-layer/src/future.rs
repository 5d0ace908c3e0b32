use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use replay_body::{PeekBody, Replay};
use throttle_signal::Read;
use tokio::time::{Instant, Sleep, sleep_until};
use tower_service::Service;

use crate::Policy;
use crate::attempts::{Again, Attempts};
use crate::herd::{Turn, Used};

pin_project! {
    /// Response future of [`Retry429`](crate::Retry429).
    ///
    /// # Panics
    ///
    /// Polling panics outside a Tokio runtime with time enabled, once there is a refusal to read or
    /// a delay to wait out. Building the layer, the service and this future needs no runtime.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S, P, B, R>
    where
        S: Service<Request<B>>, // for `S::Future`
        R: Body, // for `PeekBody<R>`
    {
        service: S,
        attempts: Attempts<P, B>,
        #[pin]
        state: State<S::Future, B, R>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, B, R>
    where
        R: Body,
    {
        // The inner service is answering.
        Called { #[pin] future: F },
        // The answer is being read, as far as needed to know what it is.
        Reading { read: Read<R> },
        // The delay is running, and then the turn of others; no response and no readiness is held
        // meanwhile. Boxed, since most requests never wait.
        Waiting { waiting: Box<Waiting<B>> },
        // The delay is over and the inner service is making room.
        Readying { body: Option<B> },
        // It has completed.
        Done,
    }
}

impl<S, P, B, R> ResponseFuture<S, P, B, R>
where
    S: Service<Request<B>>,
    R: Body,
{
    pub(crate) const fn new(first: S::Future, service: S, attempts: Attempts<P, B>) -> Self {
        Self {
            service,
            attempts,
            state: State::Called { future: first },
        }
    }
}

impl<S, P, B, R> Future for ResponseFuture<S, P, B, R>
where
    S: Service<Request<B>, Response = Response<R>>,
    P: Policy<S::Error> + Clone,
    B: Replay,
    R: Body<Data = Bytes>,
{
    type Output = Result<Response<PeekBody<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let attempts = this.attempts;

        loop {
            let next = match this.state.as_mut().project() {
                StateProj::Called { future } => {
                    let answer = future.poll(cx);
                    // Nearly every answer: the first, and no refusal. It is looked at where it is, so
                    // that it is moved once.
                    if matches!(&answer, Poll::Ready(Ok(it)) if attempts.is_done(it)) {
                        this.state.set(State::Done);
                        return answer.map_ok(|it| it.map(PeekBody::new));
                    }
                    match ready!(answer) {
                        Ok(response) => State::Reading {
                            read: attempts.reading().read(response),
                        },
                        Err(error) => {
                            let Some(again) = attempts.after_error(&error) else {
                                this.state.set(State::Done);
                                return Poll::Ready(Err(error));
                            };
                            State::again(again)
                        }
                    }
                }
                StateProj::Reading { read } => {
                    let response = ready!(Pin::new(read).poll(cx));
                    match attempts.after_answer(response) {
                        Ok(again) => State::again(again),
                        Err(response) => {
                            this.state.set(State::Done);
                            return Poll::Ready(Ok(response));
                        }
                    }
                }
                StateProj::Waiting { waiting } => {
                    let used = ready!(waiting.poll(cx));
                    attempts.pay(used);
                    State::Readying {
                        body: waiting.body.take(),
                    }
                }
                StateProj::Readying { body } => {
                    if let Err(error) = ready!(this.service.poll_ready(cx)) {
                        this.state.set(State::Done);
                        return Poll::Ready(Err(error));
                    }
                    let Some(body) = body.take() else {
                        return Poll::Pending; // `take` is called once
                    };
                    State::Called {
                        future: this.service.call(attempts.next(body)),
                    }
                }
                StateProj::Done => return Poll::Pending,
            };
            this.state.set(next);
        }
    }
}

struct Waiting<B> {
    sleep: Pin<Box<Sleep>>,
    turn: Turn,
    body: Option<B>,
}

impl<B> Waiting<B> {
    /// Waits for the delay and then for the turn, and returns what the turn was paid with.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Used>> {
        loop {
            ready!(self.sleep.as_mut().poll(cx));
            match self.turn.ask(Instant::now()) {
                Ok(used) => return Poll::Ready(used),
                Err(again) => self.sleep.as_mut().reset(again),
            }
        }
    }
}

impl<F, B, R: Body> State<F, B, R> {
    fn again(again: Again<B>) -> Self {
        let body = Some(again.body);
        match again.turn {
            None => Self::Readying { body },
            Some(turn) => Self::Waiting {
                waiting: Box::new(Waiting {
                    sleep: Box::pin(sleep_until(turn.at())),
                    turn,
                    body,
                }),
            },
        }
    }
}

impl<S, P, B, R> fmt::Debug for ResponseFuture<S, P, B, R>
where
    S: Service<Request<B>>,
    R: Body,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Called { .. } => "Called",
            State::Reading { .. } => "Reading",
            State::Waiting { .. } => "Waiting",
            State::Readying { .. } => "Readying",
            State::Done => "Done",
        };
        f.debug_struct("ResponseFuture")
            .field("sends", &self.attempts.sends())
            .field("state", &format_args!("{state}"))
            .finish_non_exhaustive()
    }
}
