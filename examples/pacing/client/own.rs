use std::time::Duration;

use rate_limit_layer::{Charging, Limiter, Quota as OwnQuota, RateLimit, RateLimitLayer};
use retry_429_layer::{Retry429, Retry429Layer};
use tower::Layer;

use crate::caller::{Caller, Retry};
use crate::job::MODEL;
use crate::network::Network;
use crate::server::Quota;

/// The stack as its users write it: retry over limiter, both at their defaults.
type Own<S> = Retry429<RateLimit<S>>;

fn over<S>(inner: S, limiter: Limiter) -> Own<S> {
    Retry429Layer::new().layer(RateLimitLayer::new(limiter).layer(inner))
}

/// What users can set and the rows of the tables set differently.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Setting {
    /// Let a whole window's limit go at once.
    pub(crate) bursts: bool,
    /// Do not learn the guard.
    pub(crate) guard: Option<Duration>,
    /// How the provider charges tokens.
    pub(crate) charging: Option<Charging>,
}

impl Setting {
    pub(crate) fn caller(self, quota: Quota, network: Network) -> Caller {
        Caller::new(over(network, self.limiter(quota)), Retry::Within)
    }

    /// A limiter that knows the published quota.
    fn limiter(self, quota: Quota) -> Limiter {
        let mut own = OwnQuota::new()
            .requests_per_minute(quota.per_minute.into())
            .tokens_per_minute(quota.tokens_per_minute.into());
        if let Some(limit) = quota.per_second {
            own = own.requests_per_second(limit.into());
        }
        if let Some(limit) = quota.tokens_per_second {
            own = own.tokens_per_second(limit.into());
        }
        if self.bursts {
            own = own.allow_bursts();
        }
        if let Some(charging) = self.charging {
            own = own.charging(charging);
        }
        let builder = Limiter::builder().model(MODEL, own);
        match self.guard {
            None => builder.build(),
            Some(guard) => builder.guard(guard).build(),
        }
    }
}
