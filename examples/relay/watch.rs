use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use throttle_signal::{Classified, Origin, RequestFacts, Throttle, Trail};
use tower::{Layer, Service};

use crate::metrics::{Cell, Metrics};
use crate::upstream::{Broken, Counts};

/// Counts what is said to each attempt, by the upstream or by the limiter. Its place is around the
/// limiter, where account and model are known and refusals have been read; what was sent is counted
/// [below](Counts).
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

    fn call(&mut self, mut request: Request<B>) -> Watched<S::Future> {
        let facts = RequestFacts::get(request.extensions());
        let named = facts.and_then(|facts| Some((facts.account()?, facts.model()?)));
        let cell = named.map(|(account, model)| self.metrics.cell(account, model));
        if let Some(cell) = &cell {
            request.extensions_mut().insert(Counts(Arc::clone(cell)));
        }
        Watched {
            inner: self.inner.call(request),
            cell,
        }
    }
}

pin_project! {
    /// An attempt under way.
    #[derive(Debug)]
    pub(crate) struct Watched<F> {
        #[pin]
        inner: F,
        cell: Option<Arc<Cell>>,
    }
}

impl<F, R> Future for Watched<F>
where
    F: Future<Output = Result<Response<R>, Broken>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.inner.poll(cx));
        if let (Some(cell), Ok(response)) = (this.cell, &answer) {
            count(cell, response);
        }
        Poll::Ready(answer)
    }
}

fn count<R>(cell: &Cell, response: &Response<R>) {
    let trail = response.extensions().get::<Trail>();
    let sent = trail.is_none_or(|trail| trail.attempts > 0);
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
