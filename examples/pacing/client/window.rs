use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::BoxError;
use tower::buffer::Buffer;
use tower::limit::RateLimit;
use tower::limit::rate::Rate;
use tower::util::{BoxCloneSyncService, Either};

use crate::network::Network;
use crate::server::Quota;

/// Room for every worker: the buffer is there to share the limiter, not to limit.
const BUFFER: usize = 1_024;

type Boxed = BoxCloneSyncService<Request<Full<Bytes>>, Response<Full<Bytes>>, BoxError>;

/// A `RateLimit` for each request window. It is not `Clone`, hence the `Buffer` that its
/// documentation names. It counts requests only, so tokens are left out.
pub(super) fn over(network: Network, quota: Quota) -> Boxed {
    let limited = match quota.per_second {
        Some(limit) => {
            let second = Rate::new(limit.into(), Duration::from_secs(1));
            Either::Left(RateLimit::new(network, second))
        }
        None => Either::Right(network),
    };
    let minute = Rate::new(quota.per_minute.into(), Duration::from_secs(60));
    let limited = RateLimit::new(limited, minute);
    BoxCloneSyncService::new(Buffer::new(limited, BUFFER))
}
