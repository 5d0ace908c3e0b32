use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use throttle_signal::{Classified, Origin, RequestFacts, Throttle, Trail};
use tower::{Layer, Service};

use crate::metrics::{Cell, Metrics};
use crate::upstream::Broken;

/// Counts what becomes of each attempt. Its place is around the limiter, where account and model are
/// known and each attempt passes.
#[derive(Clone, Debug)]
pub(crate) struct WatchLayer {
    metrics: Arc<Metrics>,
}

#[derive(Clone, Debug)]
pub(crate) struct Watch<S> {
    inner: S,
    metrics: Arc<Metrics>,
}

impl WatchLayer {
    pub(crate) const fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics }
    }
}

impl<S> Layer<S> for WatchLayer {
    type Service = Watch<S>;

    fn layer(&self, inner: S) -> Watch<S> {
        Watch {
            inner,
            metrics: Arc::clone(&self.metrics),
        }
    }
}

impl<S, B, R> Service<Request<B>> for Watch<S>
where
    S: Service<Request<B>, Response = Response<R>, Error = Broken>,
{
    type Response = Response<R>;
    type Error = Broken;
    type Future = Watched<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Watched<S::Future> {
        let facts = RequestFacts::get(request.extensions());
        let named = facts.and_then(|facts| Some((facts.account()?, facts.model()?)));
        let cell = named.map(|(account, model)| self.metrics.cell(account, model));
        Watched {
            inner: self.inner.call(request),
            attempt: Attempt(cell),
        }
    }
}

pin_project! {
    /// An attempt under way.
    #[derive(Debug)]
    pub(crate) struct Watched<F> {
        #[pin]
        inner: F,
        attempt: Attempt,
    }
}

/// What counts an attempt as abandoned unless it is answered.
#[derive(Debug)]
struct Attempt(Option<Arc<Cell>>);

impl<F, R> Future for Watched<F>
where
    F: Future<Output = Result<Response<R>, Broken>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.inner.poll(cx));
        if let Some(cell) = this.attempt.0.take() {
            count(&cell, &answer);
        }
        Poll::Ready(answer)
    }
}

fn count<R>(cell: &Cell, answer: &Result<Response<R>, Broken>) {
    match answer {
        Ok(response) => {
            let sent = response
                .extensions()
                .get::<Trail>()
                .is_none_or(|trail| trail.attempts > 0);
            match Classified::throttle(response.extensions()) {
                Some(throttle) if sent && throttle.origin() == Origin::Upstream => {
                    cell.refused("upstream", throttle.kind());
                }
                throttle if !sent => {
                    let kind = throttle.map(Throttle::kind);
                    cell.refused("relay", kind.unwrap_or(throttle_signal::Kind::RequestRate));
                }
                _ => {
                    cell.admitted.inc();
                }
            }
        }
        Err(broken) if broken.is_unsent() => {
            cell.unreachable.inc();
        }
        Err(_) => {
            cell.failed.inc();
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(cell) = &self.0 {
            cell.abandoned.inc();
        }
    }
}
