use anyhow::{Context, Result};
use bytes::Bytes;
use fallback_layer::{Candidate, FallbackLayer};
use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use key_rotation_layer::{Account, KeyPool, KeyRotationLayer};
use rate_limit_layer::{Limiter, Quota, RateLimitLayer};
use retry_429_layer::{Backoff, Retry429Layer, WithErrors};
use throttle_signal::RequestFacts;
use tower::{Service, ServiceBuilder};

use crate::quota;
use crate::target::{Link, Target};
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

    let patience = target.patience;
    let candidates = target.chain.iter().map(|link| match link {
        Link::Model(model) => Candidate::model(model.as_str()).patience(patience),
        // As it was asked for; one candidate for each, since one being out says nothing of another.
        Link::Own(model) => {
            let own = model.clone();
            Candidate::named(model.as_str()).when(move |parts| names(parts, &own))
        }
    });
    let fallback = FallbackLayer::try_new(candidates).context("the input names no model")?;

    // A prompt that was sent twice costs twice and harms nobody; one that was not is lost.
    let again = WithErrors::new(Backoff::new(), Broken::may_pass);

    Ok(ServiceBuilder::new()
        .layer(fallback)
        .layer(Retry429Layer::with_policy(again))
        .layer(KeyRotationLayer::new(pool).headroom(limiter.clone()))
        .layer(RateLimitLayer::new(limiter).reader(target.reader.clone()))
        .service(wire.service()))
}

fn names(parts: &Parts, model: &str) -> bool {
    let facts = RequestFacts::get(&parts.extensions);
    facts
        .and_then(RequestFacts::model)
        .is_some_and(|named| **named == *model)
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
