use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use replay_body::PeekBody;
use throttle_signal::{Classified, Envelope, Read, Reader, Reading, RequestFacts, Trail};
use tokio::time::Instant;
use tower_service::Service;

use crate::ResponseBody;
use crate::body::Meter;
use crate::partition::{Permit, Waiter};
use crate::refusal::Refusal;
use crate::watch;

pin_project! {
    /// Response future of [`RateLimit`](crate::RateLimit).
    ///
    /// # Panics
    ///
    /// Polling panics outside a Tokio runtime with time enabled, once there is a wait.
    ///
    /// # Cancel safety
    ///
    /// Dropping it before the request is sent gives back its place and what was reserved; after
    /// that, what was estimated stays reserved: the upstream has the request.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S, B, R>
    where
        S: Service<Request<B>>, // for `S::Future`
        R: Body,
    {
        #[pin]
        state: State<S, S::Future, B, R>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, F, B, R>
    where
        R: Body,
    {
        // The quota has no room yet, or it has and the inner service is making itself ready. No
        // readiness is held while there is no room, and no room while there is no readiness.
        Waiting { waiter: Waiter, since: Instant, unsent: Option<Unsent<S, B>> },
        // The inner service is answering.
        Called { #[pin] future: F, permit: Option<Permit>, waited: Duration, reading: Reading },
        // The head of the response is here and is being read.
        Reading { #[pin] read: Read<R>, permit: Option<Permit>, waited: Duration },
        // It was not sent.
        Refused { response: Option<Response<PeekBody<R>>> },
    }
}

/// A request that waits, and all it takes to send it or to refuse it.
pub(crate) struct Unsent<S, B> {
    pub(crate) service: S,
    pub(crate) request: Request<B>,
    pub(crate) facts: RequestFacts,
    pub(crate) reader: Reader,
    pub(crate) envelope: Envelope,
}

impl<S, B, R> ResponseFuture<S, B, R>
where
    S: Service<Request<B>>,
    R: Body,
{
    pub(crate) fn called(future: S::Future, mut permit: Permit, reading: Reading) -> Self {
        permit.sent();
        Self {
            state: State::Called {
                future,
                permit: Some(permit),
                waited: Duration::ZERO,
                reading,
            },
        }
    }

    pub(crate) const fn waiting(waiter: Waiter, since: Instant, unsent: Unsent<S, B>) -> Self {
        Self {
            state: State::Waiting {
                waiter,
                since,
                unsent: Some(unsent),
            },
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

impl<S, F, B, R: Body> State<S, F, B, R> {
    /// A request is not sent after all.
    fn handed_back(refusal: Refusal, unsent: &Unsent<S, B>, since: Instant) -> Self {
        let throttle = refusal.throttle(&unsent.facts, Instant::now());
        watch::handed_back(&unsent.facts, &throttle);
        let mut response = unsent.envelope.refuse(throttle, unsent.request.headers());
        Trail::of(response.extensions_mut()).waited = since.elapsed();
        Self::Refused {
            response: Some(response),
        }
    }
}

impl<S, B, R> Future for ResponseFuture<S, B, R>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    R: Body<Data = Bytes>,
{
    type Output = Result<Response<ResponseBody<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();

        loop {
            let next = match this.state.as_mut().project() {
                StateProj::Waiting {
                    waiter,
                    since,
                    unsent,
                } => {
                    let Some(waiting) = unsent.as_mut() else {
                        return Poll::Pending; // never: the state is left with it
                    };
                    let turn = match ready!(waiter.poll_turn(cx)) {
                        Err(refusal) => Err(refusal),
                        Ok(()) => match waiting.service.poll_ready(cx) {
                            Poll::Ready(Ok(())) => match waiter.poll_take(cx) {
                                Poll::Ready(taken) => taken,
                                Poll::Pending => {
                                    // The service took longer than the slot lasts. Let go of it and
                                    // wait anew.
                                    waiting.service = waiting.service.clone();
                                    return Poll::Pending;
                                }
                            },
                            Poll::Ready(Err(error)) => {
                                waiter.give_up(); // whoever keeps the future does not keep this
                                return Poll::Ready(Err(error));
                            }
                            Poll::Pending => Err(ready!(waiter.poll_recalled(cx))),
                        },
                    };
                    let since = *since;
                    match (turn, unsent.take()) {
                        (Ok(permit), Some(mut sending)) => {
                            let waited = since.elapsed();
                            watch::waited(&sending.facts, waited);
                            let reading =
                                sending.reader.begin_with(&sending.request, sending.facts);
                            State::Called {
                                future: sending.service.call(sending.request),
                                permit: Some(permit),
                                waited,
                                reading,
                            }
                        }
                        (Err(refusal), Some(unsent)) => State::handed_back(refusal, &unsent, since),
                        (_, None) => return Poll::Pending, // never: it was there just now
                    }
                }
                StateProj::Called {
                    future,
                    permit,
                    waited,
                    reading,
                } => {
                    let response = match ready!(future.poll(cx)) {
                        Ok(response) => response,
                        Err(error) => {
                            drop(permit.take());
                            return Poll::Ready(Err(error));
                        }
                    };
                    State::Reading {
                        read: reading.read(response),
                        permit: permit.take(),
                        waited: *waited,
                    }
                }
                StateProj::Reading {
                    read,
                    permit,
                    waited,
                } => {
                    let mut response = ready!(read.poll(cx));
                    if !waited.is_zero() {
                        let trail = Trail::of(response.extensions_mut());
                        trail.waited = trail.waited.saturating_add(*waited);
                        trail.step("rate-limit", "waited for room in the quota");
                    }
                    return Poll::Ready(Ok(settle(response, permit.take())));
                }
                StateProj::Refused { response } => {
                    let response = response.take().unwrap_or_default();
                    return Poll::Ready(Ok(response.map(ResponseBody::new)));
                }
            };
            this.state.set(next);
        }
    }
}

/// Takes note of the verdict on a response, and sees to it that what its body uses is settled.
fn settle<R: Body>(
    mut response: Response<PeekBody<R>>,
    permit: Option<Permit>,
) -> Response<ResponseBody<R>> {
    let Some(permit) = permit else {
        return response.map(ResponseBody::new);
    };
    permit.told(response.headers());
    if let Some(throttle) = Classified::throttle_mut(response.extensions_mut()) {
        let paced = permit.refused(throttle);
        watch::refused(throttle, paced);
        if paced {
            *throttle = throttle.clone().with_paced(true);
        }
        return response.map(ResponseBody::new);
    }
    let Some(permit) = permit.answered() else {
        return response.map(ResponseBody::new);
    };
    if response.status().is_client_error() {
        permit.failed();
        return response.map(ResponseBody::new);
    }
    let meter = Meter::new(permit, response.headers());
    response.map(|body| ResponseBody::metered(body, meter))
}

impl<S, B, R> fmt::Debug for ResponseFuture<S, B, R>
where
    S: Service<Request<B>>,
    R: Body,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Waiting { .. } => "Waiting",
            State::Called { .. } => "Called",
            State::Reading { .. } => "Reading",
            State::Refused { .. } => "Refused",
        };
        f.debug_struct("ResponseFuture")
            .field("state", &format_args!("{state}"))
            .finish_non_exhaustive()
    }
}
