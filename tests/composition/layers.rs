//! The four layers, as every test here uses them.

use fallback_layer::{Candidate, FallbackLayer};
use key_rotation_layer::{KeyPool, KeyRotationLayer};
use rate_limit_layer::{Limiter, Quota, RateLimitLayer};
use retry_429_layer::Retry429Layer;
use throttle_signal::{Profile, Reader};
use tower::ServiceBuilder;
use tower::layer::util::{Identity, Stack};

pub(crate) const MODEL: &str = "qwen3-max";

/// More than the tests ask for, so that only refusals make anyone wait.
pub(crate) fn limiter() -> Limiter {
    Limiter::builder()
        .default_quota(Quota::new().requests_per_second(1_000))
        .build()
}

/// On loopback the host does not tell whose answers they are.
pub(crate) fn reader() -> Reader {
    Profile::named("model-studio")
        .map_or_else(Reader::new, |profile| Reader::new().profile(profile))
}

pub(crate) fn pacing(limiter: &Limiter) -> RateLimitLayer {
    RateLimitLayer::new(limiter.clone()).reader(reader())
}

pub(crate) fn rotating(limiter: Option<&Limiter>) -> KeyRotationLayer {
    let pool = KeyPool::builder()
        .account("a", ["sk-a1", "sk-a2"])
        .account("b", ["sk-b1"])
        .build()
        .unwrap();
    let layer = KeyRotationLayer::new(pool).reader(reader());
    match limiter {
        Some(limiter) => layer.headroom(limiter.clone()),
        None => layer,
    }
}

pub(crate) fn retrying() -> Retry429Layer {
    Retry429Layer::new().reader(reader())
}

pub(crate) fn falling_back() -> FallbackLayer {
    FallbackLayer::new([Candidate::model(MODEL), Candidate::model("qwen-plus")]).reader(reader())
}

/// All four, the outermost first.
pub(crate) type Layers = ServiceBuilder<
    Stack<
        RateLimitLayer,
        Stack<KeyRotationLayer, Stack<Retry429Layer, Stack<FallbackLayer, Identity>>>,
    >,
>;

pub(crate) fn stack() -> Layers {
    let limiter = limiter();
    ServiceBuilder::new()
        .layer(falling_back())
        .layer(retrying())
        .layer(rotating(Some(&limiter)))
        .layer(pacing(&limiter))
}
