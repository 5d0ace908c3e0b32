//! An upstream that answers by a function of account, key and model, and holds callers to the
//! `Service` contract.

use std::convert::Infallible;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use throttle_signal::{Classified, Kind, RequestFacts, Scope, Throttle};
use tokio::time::{Instant, sleep};
use tower::Service;

pub(crate) type Body = Full<Bytes>;

/// What the upstream saw of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Seen {
    /// Seconds since the upstream was made.
    pub(crate) at: u64,
    pub(crate) account: String,
    pub(crate) key: String,
    pub(crate) start_by: Option<Duration>,
}

type Answer = dyn Fn(&Seen) -> (Duration, Response<Body>) + Send + Sync;

pub(crate) struct Upstream {
    answer: Arc<Answer>,
    seen: Arc<Mutex<Vec<Seen>>>,
    start: Instant,
    ready: bool,
}

impl Upstream {
    pub(crate) fn new(answer: impl Fn(&Seen) -> Response<Body> + Send + Sync + 'static) -> Self {
        Self::slow(move |seen| (Duration::ZERO, answer(seen)))
    }

    pub(crate) fn slow(
        answer: impl Fn(&Seen) -> (Duration, Response<Body>) + Send + Sync + 'static,
    ) -> Self {
        let seen = Arc::default();
        Self {
            answer: Arc::new(answer),
            seen,
            start: Instant::now(),
            ready: false,
        }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The accounts asked, in order, since the last time.
    pub(crate) fn accounts(&self) -> String {
        mem::take(&mut *self.seen.lock().unwrap())
            .into_iter()
            .map(|seen| seen.account)
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// The keys asked, in order, since the last time.
    pub(crate) fn keys(&self) -> String {
        mem::take(&mut *self.seen.lock().unwrap())
            .into_iter()
            .map(|seen| seen.key)
            .collect::<Vec<_>>()
            .join(" ")
    }
}

impl Service<Request<Body>> for Upstream {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        assert!(
            mem::take(&mut self.ready),
            "called without being made ready"
        );
        let facts = RequestFacts::get(request.extensions()).unwrap();
        let key = request
            .headers()
            .get("authorization")
            .map(|value| value.to_str().unwrap().replace("Bearer ", ""));
        let seen = Seen {
            at: self.start.elapsed().as_secs(),
            account: facts.account().map(ToString::to_string).unwrap_or_default(),
            key: key.unwrap_or_default(),
            start_by: facts
                .start_by()
                .map(|at| at.saturating_duration_since(Instant::now())),
        };
        let (latency, mut response) = (self.answer)(&seen);
        self.seen.lock().unwrap().push(seen);
        let (account, key) = (facts.account().cloned(), facts.key().cloned());
        if let Some(throttle) = Classified::throttle_mut(response.extensions_mut()) {
            *throttle = throttle.clone().with_account(account).with_key(key);
        }
        Box::pin(async move {
            if !latency.is_zero() {
                sleep(latency).await;
            }
            Ok(response)
        })
    }
}

impl Clone for Upstream {
    fn clone(&self) -> Self {
        Self {
            answer: self.answer.clone(),
            seen: self.seen.clone(),
            start: self.start,
            ready: false,
        }
    }
}

pub(crate) fn request() -> Request<Body> {
    Request::post("https://api.example.com/v1/chat/completions")
        .body(Full::new(Bytes::from(r#"{"model":"m1","messages":[]}"#)))
        .unwrap()
}

pub(crate) fn ok() -> Response<Body> {
    Response::new(Full::new(Bytes::from("done")))
}

/// A response somebody below has read as this refusal.
pub(crate) fn refused(throttle: Throttle) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::from("upstream's own words")));
    *response.status_mut() = if throttle.kind() == Kind::Credential {
        StatusCode::UNAUTHORIZED
    } else {
        StatusCode::TOO_MANY_REQUESTS
    };
    response.extensions_mut().insert(Classified(Some(throttle)));
    response
}

pub(crate) fn throttle(kind: Kind, scope: Scope) -> Throttle {
    Throttle::new(kind).with_scope(scope)
}
