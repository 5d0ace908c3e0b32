use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Layer, ServiceExt};
use tower_resilience_ratelimiter::{RateLimiterConfigError, RateLimiterLayer, WindowType};

use crate::network::Network;
use crate::server::Quota;

type Boxed = BoxCloneSyncService<Request<Full<Bytes>>, Response<Full<Bytes>>, BoxError>;

/// A limiter for each request window, set up as its documentation says for "external APIs with
/// strict quotas": a sliding log, and backpressure so that callers wait rather than fail. It counts
/// requests only, so tokens are left out.
pub(super) fn over(network: Network, quota: Quota) -> Result<Boxed, BoxError> {
    // The inner one takes its permit first and holds it while the outer one waits. So the outer
    // one is the short window's, whose permits must be fresh.
    let minute = layer(quota.per_minute, Duration::from_secs(60))?.layer(network);
    Ok(match quota.per_second {
        None => BoxCloneSyncService::new(minute.map_err(BoxError::from)),
        Some(limit) => {
            let both = layer(limit, Duration::from_secs(1))?.layer(minute);
            BoxCloneSyncService::new(both.map_err(BoxError::from))
        }
    })
}

fn layer(limit: u32, window: Duration) -> Result<RateLimiterLayer, RateLimiterConfigError> {
    RateLimiterLayer::builder()
        .limit_for_period(limit as usize)
        .refresh_period(window)
        .window_type(WindowType::SlidingLog)
        .backpressure()
        .build()
}
