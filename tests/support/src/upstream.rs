use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use pin_project_lite::pin_project;
use replay_body::Replay;
use tokio::time::{Instant, Sleep, sleep};
use tower_service::Service;

use crate::answer::{Answer, Outcome, UpstreamError};

/// A request as it arrived; its body if all of it was at hand.
pub type Seen = Request<Option<Bytes>>;

/// A service that answers from a script.
///
/// It holds callers to the [`Service`] contract: it panics if an instance is called without having
/// been made ready, and a clone starts out not ready. `service_fn` would never notice.
pub struct Upstream<R = Full<Bytes>> {
    shared: Arc<Mutex<Shared<R>>>,
    ready: bool,
}

struct Shared<R> {
    answers: Answers<R>,
    arrivals: Vec<(Duration, Seen)>,
    in_flight: usize,
    start: Instant,
}

enum Answers<R> {
    Script(VecDeque<Answer<R>>),
    Function(Box<AnswerFn<R>>),
}

type AnswerFn<R> = dyn FnMut(&Seen) -> Answer<R> + Send;

impl<R> Upstream<R> {
    /// Creates an upstream that will give these answers and expects no further request.
    pub fn new<A: Into<Answer<R>>>(script: impl IntoIterator<Item = A>) -> Self {
        Self::of(Answers::Script(
            script.into_iter().map(Into::into).collect(),
        ))
    }

    /// Creates an upstream that answers each request as `answer` says.
    pub fn answering<A: Into<Answer<R>>>(
        mut answer: impl FnMut(&Seen) -> A + Send + 'static,
    ) -> Self {
        Self::of(Answers::Function(Box::new(move |seen| answer(seen).into())))
    }

    fn of(answers: Answers<R>) -> Self {
        let shared = Shared {
            answers,
            arrivals: Vec::new(),
            in_flight: 0,
            start: Instant::now(),
        };
        Self {
            shared: Arc::new(Mutex::new(shared)),
            ready: false,
        }
    }

    /// Returns when each request arrived, in milliseconds since this upstream was created.
    #[must_use]
    pub fn arrivals(&self) -> Vec<u128> {
        let shared = lock(&self.shared);
        shared
            .arrivals
            .iter()
            .map(|(at, _)| at.as_millis())
            .collect()
    }

    /// Takes the requests that arrived, and their arrivals with them.
    #[must_use]
    pub fn take_requests(&self) -> Vec<Seen> {
        let arrivals = mem::take(&mut lock(&self.shared).arrivals);
        arrivals.into_iter().map(|(_, request)| request).collect()
    }

    /// Returns how many requests are being answered: neither answered yet nor dropped.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        lock(&self.shared).in_flight
    }
}

impl Upstream {
    /// Creates an upstream that expects no request.
    #[must_use]
    pub fn silent() -> Self {
        Self::of(Answers::Script(VecDeque::new()))
    }
}

impl<R, B: Replay> Service<Request<B>> for Upstream<R> {
    type Response = Response<R>;
    type Error = UpstreamError;
    type Future = UpstreamFuture<R>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        assert!(
            mem::take(&mut self.ready),
            "called without being made ready"
        );

        let seen = request.map(|body| body.bytes());
        let mut shared = lock(&self.shared);
        let answer = match &mut shared.answers {
            Answers::Script(script) => script.pop_front().expect("an answer left in the script"),
            Answers::Function(answer) => answer(&seen),
        };
        let at = shared.start.elapsed();
        shared.arrivals.push((at, seen));
        shared.in_flight += 1;
        UpstreamFuture {
            delay: (!answer.after.is_zero()).then(|| sleep(answer.after)),
            outcome: Some(answer.outcome),
            _in_flight: InFlight {
                shared: Arc::clone(&self.shared),
            },
        }
    }
}

impl<R> Clone for Upstream<R> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            ready: false,
        }
    }
}

impl<R> fmt::Debug for Upstream<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("ready", &self.ready)
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// Response future of [`Upstream`].
    #[must_use = "futures do nothing unless polled"]
    pub struct UpstreamFuture<R> {
        #[pin]
        delay: Option<Sleep>,
        outcome: Option<Outcome<R>>,
        _in_flight: InFlight<R>,
    }
}

impl<R> Future for UpstreamFuture<R> {
    type Output = Result<Response<R>, UpstreamError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Some(delay) = this.delay.as_pin_mut() {
            ready!(delay.poll(cx));
        }
        match this.outcome.take().expect("polled once after it completed") {
            Outcome::Response(response) => Poll::Ready(Ok(response)),
            Outcome::Error(error) => Poll::Ready(Err(error)),
            Outcome::Never => {
                *this.outcome = Some(Outcome::Never);
                Poll::Pending
            }
        }
    }
}

impl<R> fmt::Debug for UpstreamFuture<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamFuture").finish_non_exhaustive()
    }
}

/// Counts a request as in flight until it is dropped.
struct InFlight<R> {
    shared: Arc<Mutex<Shared<R>>>,
}

impl<R> Drop for InFlight<R> {
    fn drop(&mut self) {
        // A panicking test unwinds through here too.
        if let Ok(mut shared) = self.shared.lock() {
            shared.in_flight -= 1;
        }
    }
}

fn lock<R>(shared: &Mutex<Shared<R>>) -> MutexGuard<'_, Shared<R>> {
    shared.lock().expect("no test panics while holding it")
}
