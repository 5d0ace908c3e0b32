use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use key_rotation_layer::{Account, KeyPool, KeyRotationLayer};
use rate_limit_layer::{Limiter, Quota, RateLimitLayer};
use retry_429_layer::{Backoff, Retry429Layer, WithErrors};
use tower::{Service, ServiceBuilder};

use crate::quota;
use crate::target::Target;
use crate::wire::{Broken, Wire};

/// The stack: `fallback → retry-429 → key-rotation → rate-limit → client`.
///
/// # Errors
///
/// Fails if a key cannot be used.
pub(crate) fn build(
    target: &Target,
    wire: Wire,
) -> Result<
    impl Service<
        Request<Full<Bytes>>,
        Response = Response<
            impl Body<Data = Bytes, Error: std::fmt::Display + Send> + Send + 'static + use<>,
        >,
        Error = Broken,
        Future: Send,
    > + Clone
    + Send
    + use<>,
> {
    let mut limiter = Limiter::builder().default_quota(limits(target.other));
    for (model, quota) in &target.quotas {
        limiter = limiter.model(model.as_str(), limits(*quota));
    }
    let limiter = limiter.build();

    let mut pool = KeyPool::builder();
    for (account, keys) in target.accounts.iter() {
        let account = Account::new(account).keys(keys.iter().cloned());
        pool = pool.push(account.host(target.endpoint.host()));
    }
    let pool = pool.build().context("the keys cannot be used")?;

    // A prompt that was sent twice costs twice and harms nobody; one that was not is lost.
    let again = WithErrors::new(Backoff::new(), Broken::may_pass);

    Ok(ServiceBuilder::new()
        .layer(Retry429Layer::with_policy(again))
        .layer(KeyRotationLayer::new(pool).headroom(limiter.clone()))
        .layer(RateLimitLayer::new(limiter).reader(target.reader.clone()))
        .service(wire.service()))
}

fn limits(quota: quota::Quota) -> Quota {
    let mut limits = Quota::new();
    if let Some(rpm) = quota.rpm {
        limits = limits.requests_per_minute(rpm);
    }
    if let Some(rps) = quota.rps {
        limits = limits.requests_per_second(rps);
    }
    if let Some(tpm) = quota.tpm {
        limits = limits.tokens_per_minute(tpm);
    }
    if let Some(tps) = quota.tps {
        limits = limits.tokens_per_second(tps);
    }
    limits
}
