use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use replay_body::{PeekBody, Replay};
use throttle_signal::{Classified, Read, Reading, RequestFacts, Trail};
use tokio::time::{Instant, Sleep, sleep_until};
use tower_service::Service;

use crate::kept::Kept;
use crate::{Attempt, Decision, Policy};

/// What this layer is called in a [`Trail`].
const LAYER: &str = "retry-429";

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
        policy: P,
        kept: Kept<B>,
        reading: Reading,
        facts: RequestFacts,
        started: Instant,
        number: u32,
        // What happened in the attempts before this one; nothing before the first.
        earlier: Option<Trail>,
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
        Reading { #[pin] read: Read<R> },
        // The delay is running; no response and no readiness is held meanwhile.
        Waiting { #[pin] sleep: Sleep, body: Option<B> },
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
    pub(crate) fn new(
        first: S::Future,
        service: S,
        policy: P,
        kept: Kept<B>,
        reading: Reading,
        facts: RequestFacts,
        started: Instant,
    ) -> Self {
        Self {
            service,
            policy,
            kept,
            reading,
            facts,
            started,
            number: 1,
            earlier: None,
            state: State::Called { future: first },
        }
    }
}

impl<S, P, B, R> Future for ResponseFuture<S, P, B, R>
where
    S: Service<Request<B>, Response = Response<R>>,
    P: Policy<S::Error>,
    B: Replay,
    R: Body<Data = Bytes>,
{
    type Output = Result<Response<PeekBody<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();

        loop {
            let next = match this.state.as_mut().project() {
                StateProj::Called { future } => match ready!(future.poll(cx)) {
                    Ok(response) => State::Reading {
                        read: this.reading.read(response),
                    },
                    Err(error) => {
                        let now = Instant::now();
                        let elapsed = now.saturating_duration_since(*this.started);
                        let attempt = Attempt::failed(*this.number, elapsed, &error);
                        let decision = this.policy.decide(&attempt);
                        let Ok(again) = Again::of(decision, now, this.facts, this.kept) else {
                            this.state.set(State::Done);
                            return Poll::Ready(Err(error));
                        };
                        let mut trail = Trail::default();
                        again.note(&mut trail, *this.number);
                        gather(this.earlier, trail);
                        again.into_state()
                    }
                },
                StateProj::Reading { read } => {
                    let mut response = ready!(read.poll(cx));
                    let throttle = Classified::throttle(response.extensions());
                    if throttle.is_none() && response.status().as_u16() < 400 {
                        finish(&mut response, this.earlier);
                        this.state.set(State::Done);
                        return Poll::Ready(Ok(response));
                    }
                    let now = Instant::now();
                    let elapsed = now.saturating_duration_since(*this.started);
                    let attempt =
                        Attempt::answered(*this.number, elapsed, response.status(), throttle);
                    let decision = this.policy.decide(&attempt);
                    let refused = throttle.is_some();
                    match Again::of(decision, now, this.facts, this.kept) {
                        Ok(again) => {
                            let mut trail = Trail::take(response.extensions_mut());
                            again.note(&mut trail, *this.number);
                            gather(this.earlier, trail);
                            // The failed response goes before the wait, and its connection with it.
                            drop(response);
                            again.into_state()
                        }
                        Err(why) => {
                            if refused {
                                Trail::of(response.extensions_mut()).step(LAYER, why);
                            }
                            finish(&mut response, this.earlier);
                            this.state.set(State::Done);
                            return Poll::Ready(Ok(response));
                        }
                    }
                }
                StateProj::Waiting { sleep, body } => {
                    ready!(sleep.poll(cx));
                    State::Readying { body: body.take() }
                }
                StateProj::Readying { body } => {
                    ready!(this.service.poll_ready(cx))?;
                    let Some(body) = body.take() else {
                        return Poll::Pending; // polled again after it failed
                    };
                    *this.number = this.number.saturating_add(1);
                    State::Called {
                        future: this.service.call(this.kept.request(body)),
                    }
                }
                StateProj::Done => return Poll::Pending,
            };
            this.state.set(next);
        }
    }
}

/// A further attempt that is to be made.
struct Again<B> {
    after: Duration,
    at: Instant,
    body: B,
    why: &'static str,
}

impl<B: Replay> Again<B> {
    /// What comes of a decision: the attempt, or why there is none.
    fn of(
        decision: Decision,
        now: Instant,
        facts: &RequestFacts,
        kept: &Kept<B>,
    ) -> Result<Self, &'static str> {
        let (after, why) = match decision {
            Decision::Retry { after, why } => (after, why),
            Decision::GiveBack { why } => return Err(why),
        };
        let at = now.checked_add(after).ok_or("the wait never ends")?;
        if facts.start_by().is_some_and(|start_by| at > start_by) {
            return Err("the wait would pass the deadline");
        }
        let body = kept.body().ok_or("the body cannot be sent again")?;
        Ok(Self {
            after,
            at,
            body,
            why,
        })
    }

    fn note(&self, trail: &mut Trail, number: u32) {
        trail.waited = trail.waited.saturating_add(self.after);
        let wait = Duration::from_millis(u64::try_from(self.after.as_millis()).unwrap_or(u64::MAX));
        trail.step(
            LAYER,
            format!("attempt {number} again after {wait:?}: {}", self.why),
        );
    }

    fn into_state<F, R: Body>(self) -> State<F, B, R> {
        let body = Some(self.body);
        if self.after.is_zero() {
            return State::Readying { body };
        }
        State::Waiting {
            sleep: sleep_until(self.at),
            body,
        }
    }
}

/// Adds the trail of an attempt that is over to those before it.
fn gather(earlier: &mut Option<Trail>, mut trail: Trail) {
    if let Some(earlier) = earlier.take() {
        trail.absorb(earlier);
    }
    *earlier = Some(trail);
}

/// Puts what happened before into the trail of the answer that is handed up.
fn finish<R>(response: &mut Response<R>, earlier: &mut Option<Trail>) {
    if let Some(earlier) = earlier.take() {
        Trail::of(response.extensions_mut()).absorb(earlier);
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
            .field("number", &self.number)
            .field("state", &format_args!("{state}"))
            .finish_non_exhaustive()
    }
}
