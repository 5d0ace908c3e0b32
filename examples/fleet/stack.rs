use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use rate_limit_layer::shared::SharedStore;
use rate_limit_layer::{Limiter, RateLimitLayer};
use retry_429_layer::Retry429Layer;
use throttle_signal::{Profile, Reader};
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt};

use crate::job::{self, MODEL};
use crate::quota::Quota;

/// One instance's whole stack.
pub(crate) type Stack = BoxCloneSyncService<Request<Full<Bytes>>, Response<Bytes>, BoxError>;

/// Covers the jitter of the way to the provider. Fixed: one that is learned settles where 0.1 % of all
/// requests are refused.
const GUARD: Duration = Duration::from_millis(75);

/// A limiter that shares its quota through the store, or has it alone.
pub(crate) fn limiter(quota: &Quota, store: Option<SharedStore>) -> Limiter {
    let builder = Limiter::builder()
        .model(MODEL, quota.allowed())
        .guard(GUARD);
    match store {
        Some(store) => builder.shared(store).build(),
        None => builder.build(),
    }
}

/// `retry-429 → rate-limit → client`, as its users write it.
pub(crate) fn over<S, B>(client: S, limiter: Limiter) -> Stack
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + Sync + 'static,
    B::Error: Into<BoxError> + Send + Sync,
{
    // The client is on the loopback, where no host says whose words these are.
    let reader = Profile::named("model-studio")
        .map_or_else(Reader::new, |profile| Reader::new().profile(profile));
    let stack = ServiceBuilder::new()
        .map_err(Into::into)
        .layer(Retry429Layer::new())
        .layer(RateLimitLayer::new(limiter).reader(reader))
        .map_request(job::mark_as_sent)
        .service(client);
    BoxCloneSyncService::new(stack.and_then(read))
}

/// Reads an answer to its end, as callers do.
async fn read<B>(response: Response<B>) -> Result<Response<Bytes>, BoxError>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(Into::into)?.to_bytes();
    Ok(Response::from_parts(parts, body))
}
