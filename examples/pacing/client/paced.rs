use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tower::Service;

use crate::job::Job;

/// Something that says when a request may go.
pub(super) trait Pacer: Send + Sync + 'static {
    /// Ends when a request for `tokens` may be sent.
    fn until_ready(&self, tokens: u64) -> impl Future<Output = ()> + Send;
}

/// What people write around a limiter that is no layer: wait, then send.
#[derive(Debug)]
pub(super) struct Paced<P, S> {
    pacer: Arc<P>,
    inner: S,
}

impl<P, S> Paced<P, S> {
    pub(super) fn new(pacer: P, inner: S) -> Self {
        Self {
            pacer: Arc::new(pacer),
            inner,
        }
    }
}

impl<P, S: Clone> Clone for Paced<P, S> {
    fn clone(&self) -> Self {
        Self {
            pacer: Arc::clone(&self.pacer),
            inner: self.inner.clone(),
        }
    }
}

impl<P, S> Service<Request<Full<Bytes>>> for Paced<P, S>
where
    P: Pacer,
    S: Service<Request<Full<Bytes>>> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        let clone = self.inner.clone();
        let mut ready = std::mem::replace(&mut self.inner, clone);
        let pacer = Arc::clone(&self.pacer);
        Box::pin(async move {
            let job = request.extensions().get::<Job>();
            pacer.until_ready(job.map_or(0, Job::most_tokens)).await;
            ready.call(request).await
        })
    }
}
