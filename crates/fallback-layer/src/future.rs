use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::response::Parts;
use http::uri::Authority;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use replay_body::{Peek, PeekBody, Replay};
use throttle_signal::{Classified, Read, Reading};
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tower_service::Service;

use crate::OnError;
use crate::judge::Why;
use crate::run::{Current, Run, Step};

/// How much of a refusal's body is read to learn why.
const LOOK: usize = 64 * 1024;

/// How long a refusal's body may take to arrive. Its head is an answer already.
const PATIENCE: Duration = Duration::from_secs(1);

pin_project! {
    /// Response future of [`Fallback`](crate::Fallback).
    ///
    /// # Cancel safety
    ///
    /// Dropping it abandons the request: the attempt under way is dropped, which the layers below see
    /// and settle, and no further one is made.
    ///
    /// # Panics
    ///
    /// Polling panics outside a Tokio runtime with time enabled, once there is something to wait for.
    /// Polled again after it completed, it is pending for ever.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S, B, R, T>
    where
        S: Service<Request<B>>, // for `S::Future`
        R: Body, // for the errors of `PeekBody<R>`
    {
        service: S,
        others: Vec<S>,
        run: Run<B, R>,
        on_error: T,
        current: Current,
        // The end of the patience for readiness, or of the time for the first byte.
        #[pin]
        limit: Option<Sleep>,
        #[pin]
        state: State<S::Future, B, R>,
    }
}

pin_project! {
    #[project = StateProj]
    #[allow(clippy::large_enum_variant, reason = "a box would be on the path of every request")]
    enum State<F, B, R>
    where
        R: Body,
    {
        // A candidate is to be chosen.
        Choosing,
        // Its service is making room.
        Readying { request: Option<Request<B>> },
        // Its service is answering.
        Called { #[pin] future: F, reading: Reading, host: Option<Authority> },
        // The answer is being read for a refusal, or to the first event of a stream.
        Reading { #[pin] read: Read<R> },
        // The body of an answer is being read for why the request was no good.
        Peeking { parts: Option<Parts>, peek: Peek<R>, host: Option<Authority> },
        // The answer was given.
        Done,
    }
}

impl<S, B, R, T> ResponseFuture<S, B, R, T>
where
    S: Service<Request<B>>,
    R: Body,
{
    pub(crate) fn new(service: S, others: Vec<S>, run: Run<B, R>, on_error: T) -> Self {
        let current = Current::none();
        Self {
            service,
            others,
            run,
            on_error,
            current,
            limit: None,
            state: State::Choosing,
        }
    }
}

impl<S, B, R, T> Future for ResponseFuture<S, B, R, T>
where
    S: Service<Request<B>, Response = Response<R>>,
    B: Replay + From<Bytes>,
    R: Body<Data = Bytes>,
    T: OnError<S::Error>,
{
    type Output = Result<Response<PeekBody<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();

        loop {
            let next = match this.state.as_mut().project() {
                StateProj::Choosing => {
                    this.limit.set(None);
                    match this.run.next(Instant::now()) {
                        Step::Send(current, request) => {
                            *this.current = current;
                            State::Readying {
                                request: Some(request),
                            }
                        }
                        Step::Answer(response) => {
                            this.state.set(State::Done);
                            return Poll::Ready(Ok(response));
                        }
                    }
                }
                StateProj::Readying { request } => {
                    let service = match this.current.service {
                        0 => Some(&mut *this.service),
                        other => this.others.get_mut(other - 1),
                    };
                    let Some(service) = service else {
                        return Poll::Pending; // never: each such candidate came with its service
                    };
                    if let Poll::Ready(ready) = service.poll_ready(cx) {
                        let Some(request) = request.take() else {
                            return Poll::Pending; // never: the state is left at once
                        };
                        match ready {
                            Ok(()) => {
                                this.limit.set(this.current.first_byte.map(sleep));
                                let reading = this.run.reader.begin(&request);
                                let host = request.uri().authority().cloned();
                                State::Called {
                                    future: service.call(request),
                                    reading,
                                    host,
                                }
                            }
                            Err(error) => match fail(this.run, this.on_error, *this.current, error)
                            {
                                Ok(()) => State::Choosing,
                                Err(error) => return Poll::Ready(Err(error)),
                            },
                        }
                    } else {
                        if this.limit.is_none() {
                            this.limit.set(this.current.patience.map(sleep_until));
                        }
                        ready!(elapsed(this.limit.as_mut(), cx));
                        this.run
                            .leave(*this.current, Why::Readiness, None, Instant::now());
                        State::Choosing
                    }
                }
                StateProj::Called {
                    future,
                    reading,
                    host,
                } => match future.poll(cx) {
                    Poll::Ready(Ok(response)) => {
                        let known = response
                            .extensions()
                            .get::<Classified>()
                            .is_some_and(|known| known.0.is_some());
                        if !known && this.run.looks_into(*this.current, response.status()) {
                            let (parts, body) = response.into_parts();
                            State::Peeking {
                                parts: Some(parts),
                                peek: Peek::new(body, LOOK),
                                host: host.take(),
                            }
                        } else {
                            State::Reading {
                                read: reading.read(response),
                            }
                        }
                    }
                    Poll::Ready(Err(error)) => {
                        match fail(this.run, this.on_error, *this.current, error) {
                            Ok(()) => State::Choosing,
                            Err(error) => return Poll::Ready(Err(error)),
                        }
                    }
                    Poll::Pending => {
                        ready!(elapsed(this.limit.as_mut(), cx));
                        this.run
                            .leave(*this.current, Why::FirstByte, None, Instant::now());
                        State::Choosing
                    }
                },
                StateProj::Reading { read } => {
                    if let Poll::Ready(response) = read.poll(cx) {
                        match this.run.judge(*this.current, response, b"", Instant::now()) {
                            Some(response) => {
                                this.state.set(State::Done);
                                return Poll::Ready(Ok(response));
                            }
                            None => State::Choosing,
                        }
                    } else {
                        ready!(elapsed(this.limit.as_mut(), cx));
                        this.run
                            .leave(*this.current, Why::FirstByte, None, Instant::now());
                        State::Choosing
                    }
                }
                StateProj::Peeking { parts, peek, host } => {
                    let peeked = match Pin::new(&mut *peek).poll(cx) {
                        Poll::Ready(peeked) => peeked,
                        Poll::Pending => {
                            if this.limit.is_none() {
                                this.limit.set(Some(sleep(PATIENCE)));
                            }
                            ready!(elapsed(this.limit.as_mut(), cx));
                            peek.stop()
                        }
                    };
                    let Some(mut parts) = parts.take() else {
                        return Poll::Pending; // never: the state is left at once
                    };
                    if parts.extensions.get::<Classified>().is_none() {
                        let host = host.as_ref().map_or("", Authority::host);
                        let throttle = this.run.reader.classify(
                            host,
                            parts.status,
                            &parts.headers,
                            peeked.head(),
                        );
                        parts.extensions.insert(Classified(throttle));
                    }
                    let head = peeked.head().clone();
                    let response = Response::from_parts(parts, peeked.into_body());
                    match this
                        .run
                        .judge(*this.current, response, &head, Instant::now())
                    {
                        Some(response) => {
                            this.state.set(State::Done);
                            return Poll::Ready(Ok(response));
                        }
                        None => State::Choosing,
                    }
                }
                StateProj::Done => return Poll::Pending,
            };
            this.state.set(next);
        }
    }
}

/// Ready once the limit has passed; pending for ever if there is none.
fn elapsed(limit: Pin<&mut Option<Sleep>>, cx: &mut Context<'_>) -> Poll<()> {
    match limit.as_pin_mut() {
        Some(limit) => limit.poll(cx),
        None => Poll::Pending,
    }
}

/// Leaves a candidate for an error, or hands the error up.
fn fail<B, R, T, E>(run: &mut Run<B, R>, on_error: &T, current: Current, error: E) -> Result<(), E>
where
    B: Replay + From<Bytes>,
    R: Body<Data = Bytes>,
    T: OnError<E>,
{
    let now = Instant::now();
    if !on_error.moves_on(&error) {
        return Err(error);
    }
    run.leave(current, Why::Error, None, now);
    if run.has_more() { Ok(()) } else { Err(error) }
}

impl<S, B, R, T> fmt::Debug for ResponseFuture<S, B, R, T>
where
    S: Service<Request<B>>,
    R: Body,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Choosing => "Choosing",
            State::Readying { .. } => "Readying",
            State::Called { .. } => "Called",
            State::Reading { .. } => "Reading",
            State::Peeking { .. } => "Peeking",
            State::Done => "Done",
        };
        f.debug_struct("ResponseFuture")
            .field("candidate", &self.current.index)
            .field("state", &format_args!("{state}"))
            .finish_non_exhaustive()
    }
}
