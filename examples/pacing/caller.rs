use std::time::Duration;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tokio::time::sleep;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Service, ServiceExt};

use crate::draw::Draw;
use crate::job::Job;

/// A client's whole stack, whatever it is made of.
pub(crate) type Stack = BoxCloneSyncService<Request<Full<Bytes>>, Response<Bytes>, BoxError>;

/// How often a job is tried before it is given up.
const TRIES: u32 = 5;

/// What brings a job to its end: a stack, and what is done when it says 429.
#[derive(Clone)]
pub(crate) struct Caller {
    stack: Stack,
    retry: Retry,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Retry {
    /// After 2ⁿ + U(0, 1) seconds, or what the refusal says.
    Backoff,
    /// The stack does it.
    Within,
}

impl Caller {
    pub(crate) fn new<S, B>(service: S, retry: Retry) -> Self
    where
        S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let service = service.map_err(Into::into);
        let service = service.and_then(async |response: Response<B>| {
            let (parts, body) = response.into_parts();
            // Read to the end, as callers do: a layer may learn from the last byte.
            let body = body.collect().await.map_err(Into::into)?.to_bytes();
            Ok(Response::from_parts(parts, body))
        });
        Self {
            stack: BoxCloneSyncService::new(service),
            retry,
        }
    }

    /// Whether the job was answered.
    pub(crate) async fn call(&self, seed: u64, job: &Job) -> bool {
        let request = job.request();
        for attempt in 0.. {
            let attempted = self.stack.clone().oneshot(request.clone()).await;
            let Ok(response) = attempted else {
                return false;
            };
            if response.status() == StatusCode::OK {
                return true;
            }
            if self.retry == Retry::Within || attempt + 1 == TRIES {
                return false;
            }
            let wait = stated(&response).unwrap_or_else(|| {
                let jitter = Draw::Backoff(attempt).of(seed, job.id).f64();
                Duration::from_secs_f64(f64::from(1_u32 << attempt) + jitter)
            });
            sleep(wait).await;
        }
        false
    }
}

fn stated(response: &Response<Bytes>) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    seconds.parse().ok().map(Duration::from_secs)
}
