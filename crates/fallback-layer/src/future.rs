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
use replay_body::{Peek, PeekBody, Peeked, Replay};
use throttle_signal::{Read, Reading};
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tower_service::Service;

use crate::judge::Why;
use crate::run::{Current, Run, Step};
use crate::{OnError, ResponseBody};

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
    S: Service<Request<B>, Response = Response<R>> + Clone,
    B: Replay + From<Bytes>,
    R: Body<Data = Bytes>,
    T: OnError<S::Error>,
{
    type Output = Result<Response<ResponseBody<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();

        // States are set where they are made: one that is handed around is copied each time, and the
        // future of a whole stack is large.
        loop {
            let (run, current) = (&mut *this.run, *this.current);
            let answer = match this.state.as_mut().project() {
                StateProj::Choosing => {
                    this.limit.set(None);
                    match run.next() {
                        Step::Send(next, request) => {
                            *this.current = next;
                            this.state.set(State::Readying {
                                request: Some(request),
                            });
                            continue;
                        }
                        Step::Answer(response) => Some(Ok(response)),
                    }
                }
                StateProj::Readying { request } => {
                    // Each candidate with a service of its own came with it.
                    let other = current
                        .service
                        .checked_sub(1)
                        .and_then(|other| this.others.get_mut(other));
                    let service = other.unwrap_or(&mut *this.service);
                    match service.poll_ready(cx) {
                        Poll::Ready(Ok(())) => {
                            let Some(request) = request.take() else {
                                return Poll::Pending; // never: the state is left at once
                            };
                            this.limit.set(current.first_byte.map(sleep));
                            let reading = run.reader.begin(&request);
                            let host = request.uri().authority().cloned();
                            this.state.set(State::Called {
                                future: service.call(request),
                                reading,
                                host,
                            });
                            continue;
                        }
                        Poll::Ready(Err(error)) => fail(run, this.on_error, current, error),
                        Poll::Pending => {
                            if this.limit.is_none() {
                                this.limit.set(current.ready_by.map(sleep_until));
                            }
                            ready!(elapsed(this.limit.as_mut(), cx));
                            // Lets go of its place in line, which nobody would be there to use.
                            *service = service.clone();
                            leave(run, current, Why::Readiness)
                        }
                    }
                }
                StateProj::Called {
                    future,
                    reading,
                    host,
                } => match future.poll(cx) {
                    Poll::Ready(Ok(response)) if run.looks_into(current, &response) => {
                        let (parts, body) = response.into_parts();
                        let (parts, peek) = (Some(parts), Peek::new(body, LOOK));
                        let host = host.take();
                        this.state.set(State::Peeking { parts, peek, host });
                        continue;
                    }
                    Poll::Ready(Ok(response)) => {
                        let mut read = reading.read(response);
                        match Pin::new(&mut read).poll(cx) {
                            Poll::Ready(response) => judge(run, current, response, b""),
                            Poll::Pending => {
                                this.state.set(State::Reading { read });
                                continue;
                            }
                        }
                    }
                    Poll::Ready(Err(error)) => fail(run, this.on_error, current, error),
                    Poll::Pending => {
                        ready!(elapsed(this.limit.as_mut(), cx));
                        leave(run, current, Why::FirstByte)
                    }
                },
                StateProj::Reading { read } => match read.poll(cx) {
                    Poll::Ready(response) => judge(run, current, response, b""),
                    Poll::Pending => {
                        ready!(elapsed(this.limit.as_mut(), cx));
                        leave(run, current, Why::FirstByte)
                    }
                },
                StateProj::Peeking { parts, peek, host } => {
                    let peeked = ready!(poll_peek(peek, this.limit.as_mut(), cx));
                    let Some(parts) = parts.take() else {
                        return Poll::Pending; // never: the state is left at once
                    };
                    judge_peeked(run, current, parts, host.as_ref(), peeked)
                }
                StateProj::Done => return Poll::Pending,
            };
            let Some(answer) = answer else {
                this.state.set(State::Choosing);
                continue;
            };
            this.state.set(State::Done);
            return Poll::Ready(answer.map(|response| run.hand_up(current, response)));
        }
    }
}

/// What to hand up; nothing if the next candidate is to be chosen.
type Answer<R, E> = Option<Result<Response<PeekBody<R>>, E>>;

/// Ready once the limit has passed; pending for ever if there is none.
fn elapsed(limit: Pin<&mut Option<Sleep>>, cx: &mut Context<'_>) -> Poll<()> {
    match limit.as_pin_mut() {
        Some(limit) => limit.poll(cx),
        None => Poll::Pending,
    }
}

/// Reads a refusal's body, for so long and no longer.
fn poll_peek<R: Body<Data = Bytes>>(
    peek: &mut Peek<R>,
    mut limit: Pin<&mut Option<Sleep>>,
    cx: &mut Context<'_>,
) -> Poll<Peeked<R>> {
    if let Poll::Ready(peeked) = Pin::new(&mut *peek).poll(cx) {
        return Poll::Ready(peeked);
    }
    if limit.is_none() {
        limit.set(Some(sleep(PATIENCE)));
    }
    ready!(elapsed(limit, cx));
    Poll::Ready(peek.stop())
}

/// Hands a response up, or leaves the candidate for it.
fn judge<B, R, E>(
    run: &mut Run<B, R>,
    current: Current,
    response: Response<PeekBody<R>>,
    head: &[u8],
) -> Answer<R, E>
where
    B: Replay + From<Bytes>,
    R: Body<Data = Bytes>,
{
    run.judge(current, response, head).map(Ok)
}

/// The same, for a response whose body was looked into.
fn judge_peeked<B, R, E>(
    run: &mut Run<B, R>,
    current: Current,
    mut parts: Parts,
    host: Option<&Authority>,
    peeked: Peeked<R>,
) -> Answer<R, E>
where
    B: Replay + From<Bytes>,
    R: Body<Data = Bytes>,
{
    let head = peeked.head().clone();
    run.classify(&mut parts, host, &head);
    let response = Response::from_parts(parts, peeked.into_body());
    judge(run, current, response, &head)
}

/// Leaves a candidate that has not answered.
fn leave<B, R, E>(run: &mut Run<B, R>, current: Current, why: Why) -> Answer<R, E>
where
    B: Replay + From<Bytes>,
    R: Body<Data = Bytes>,
{
    run.leave(current, why, None, Instant::now());
    None
}

/// Leaves a candidate for an error, or hands the error up.
fn fail<B, R, T, E>(run: &mut Run<B, R>, on_error: &T, current: Current, error: E) -> Answer<R, E>
where
    B: Replay + From<Bytes>,
    R: Body<Data = Bytes>,
    T: OnError<E>,
{
    if on_error.moves_on(&error) && run.has_more() {
        leave(run, current, Why::Error)
    } else {
        Some(Err(error))
    }
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
