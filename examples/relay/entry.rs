use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper::service::Service;
use pin_project_lite::pin_project;
use tower::ServiceExt;

use crate::app::ours;
use crate::drained::Drained;
use crate::endpoint::Endpoint;
use crate::relay::relay;
use crate::worker::Worker;

/// What a connection is served by: axum's router, and before it a shorter way to what nearly all ask
/// for, which spares a twentieth of the work there is with a request.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    router: Router,
    // None where there is no shorter way.
    worker: Option<Arc<Worker>>,
}

impl Entry {
    /// The router alone.
    pub(crate) const fn new(router: Router) -> Self {
        Self {
            router,
            worker: None,
        }
    }

    /// The router, and a shorter way to where it leads requests for models.
    pub(crate) const fn with_models(router: Router, worker: Arc<Worker>) -> Self {
        Self {
            router,
            worker: Some(worker),
        }
    }
}

impl Service<Request<Incoming>> for Entry {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, request: Request<Incoming>) -> Answering {
        let request = Drained::of(request).map(Body::new);
        let path = request.uri().path().strip_prefix("/v1/");
        let endpoint = path.and_then(Endpoint::of);
        match (&self.worker, endpoint) {
            (Some(worker), Some(endpoint)) if request.method() == Method::POST => {
                let answer = relay(Arc::clone(worker), endpoint, request);
                Box::pin(async { Ok(Caught { answer }.await) })
            }
            _ => Box::pin(self.router.clone().oneshot(request)),
        }
    }
}

type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

pin_project! {
    /// An answer that is in words, too, where a mistake of ours ends it.
    struct Caught<F> {
        #[pin]
        answer: F,
    }
}

impl<F: Future<Output = Response<Body>>> Future for Caught<F> {
    type Output = Response<Body>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response<Body>> {
        let answer = self.project().answer;
        let poll = catch_unwind(AssertUnwindSafe(|| answer.poll(cx)));
        poll.unwrap_or_else(|panic| Poll::Ready(ours(panic)))
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    #[tokio::test]
    async fn a_mistake_of_ours_is_an_answer() {
        let answer = async { panic!("index out of bounds") };
        let answer = Caught { answer }.await;
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
