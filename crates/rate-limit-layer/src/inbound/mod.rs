//! Limits on requests that come in: what a server allows its own callers.
//!
//! [`InboundLayer`] never waits. Each request belongs to a key, and one for which the key's rate has
//! no room is refused at once with `429`, `Retry-After` and the `RateLimit` fields of the IETF draft
//! (`draft-ietf-httpapi-ratelimit-headers`). Callers that keep to what they are told are never
//! refused. A refusal holds nothing of what is below. The counting is [governor]'s, on tokio's clock; keys that are not used any more are
//! forgotten as others come.
//!
//! # Example
//!
//! ```
//! use std::convert::Infallible;
//!
//! use bytes::Bytes;
//! use http::{HeaderValue, Request, Response, StatusCode};
//! use http_body_util::Full;
//! use rate_limit_layer::inbound::{InboundLayer, Rate};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Infallible> {
//! let by_key = |request: &Request<Full<Bytes>>| request.headers().get("x-api-key").cloned();
//! let server = ServiceBuilder::new()
//!     .layer(InboundLayer::new(Rate::per_second(1), by_key))
//!     .service(service_fn(async |_| Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))));
//!
//! let mut request = Request::new(Full::default());
//! request.headers_mut().insert("x-api-key", HeaderValue::from_static("k1"));
//! assert_eq!(server.clone().oneshot(request.clone()).await?.status(), StatusCode::OK);
//!
//! let refused = server.oneshot(request).await?;
//! assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
//! assert_eq!(refused.headers()["retry-after"], "1");
//! # Ok(())
//! # }
//! ```
//!
//! # Keys
//!
//! A request without a key is not limited. Whom a request belongs to is a function of it:
//!
//! * a header: `|request: &Request<_>| request.headers().get("x-api-key").cloned()`
//! * the peer's address in axum, served by `into_make_service_with_connect_info`:
//!   `|request: &Request<_>| Some(request.extensions().get::<ConnectInfo<SocketAddr>>()?.0.ip())`
//! * the peer's address in tonic:
//!   `|request: &Request<_>| Some(request.extensions().get::<TcpConnectInfo>()?.remote_addr()?.ip())`
//! * the address in front of proxies you run: [`client_ip`] of the peer's.
//!
//! Where a request should cost more than one, put a [`RequestCost`] into its extensions.
//!
//! # Coming from `tower_governor`
//!
//! Its `per_second(2)` is one request every two seconds: `Rate::new(1, Duration::from_secs(2))`, and
//! `burst_size` is [`Rate::burst`]. A `KeyExtractor` becomes a closure; `SmartIpKeyExtractor`, which
//! believes whatever a client writes, becomes [`client_ip`] with the proxies that are yours. Fields are
//! always sent, and nothing has to be swept.
//!
//! # Cancel safety
//!
//! Dropping a response future gives nothing back: the request had come.
//!
//! [governor]: https://docs.rs/governor

mod client_ip;
mod clock;
mod future;
mod layer;
mod limit;
mod rate;
mod service;

pub use self::client_ip::client_ip;
pub use self::future::InboundFuture;
pub use self::layer::InboundLayer;
pub use self::rate::{Rate, RequestCost};
pub use self::service::Inbound;
