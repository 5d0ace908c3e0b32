//! A [tower] layer that paces requests to a quota of requests and tokens.
//!
//! [`RateLimitLayer`] wraps an HTTP client of a rate-limited API. It knows what the upstream allows,
//! keeps exact count of what was sent, and holds a request back until it has room in every window
//! at once: requests a second and a minute, tokens a second and a minute. What the upstream refuses
//! nevertheless teaches it to keep more distance.
//!
//! # Example
//!
//! ```
//! use std::convert::Infallible;
//! use std::time::Duration;
//!
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use rate_limit_layer::{Limiter, Quota, RateLimitLayer};
//! use tokio::time::Instant;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Infallible> {
//! const QWEN3_MAX: Quota = Quota::new()
//!     .requests_per_second(10)
//!     .requests_per_minute(600)
//!     .tokens_per_minute(1_000_000);
//!
//! let limiter = Limiter::builder().model("qwen3-max", QWEN3_MAX).build();
//! let client = ServiceBuilder::new()
//!     .layer(RateLimitLayer::new(limiter.clone()))
//!     .service(service_fn(async |_: Request<Full<Bytes>>| {
//!         Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
//!     }));
//!
//! let began = Instant::now();
//! for _ in 0..11 {
//!     let request = Request::new(Full::from(r#"{"model": "qwen3-max", "messages": []}"#));
//!     client.clone().oneshot(request).await?;
//! }
//! assert!(began.elapsed() >= Duration::from_secs(1));
//! assert_eq!(limiter.snapshot()[0].model.as_deref(), Some("qwen3-max"));
//! # Ok(())
//! # }
//! ```
//!
//! # What the layer promises
//!
//! * **No window is exceeded** by what is known when a request is sent: any sliding window of any
//!   length, and so every fixed window and token bucket of the same rate. Answers longer than
//!   estimated become debt, which is waited off.
//! * **All windows or none.** What one window has no room for takes nothing from the others.
//! * **First come, first served**, by the time a request first reached one of our layers: one that is
//!   sent again keeps its place. [`Priority`](throttle_signal::Priority) goes before that, and
//!   [`Tenant`](throttle_signal::Tenant)s take turns.
//! * **Known too late is refused at once**, with the exact wait: see
//!   [`StartBy`](throttle_signal::StartBy) and [`Deadline`](throttle_signal::Deadline). The refusal
//!   is a response like the upstream's, never an error. It comes also to who has room and waits for
//!   the inner service in vain.
//! * **Who is not polled delays nobody**: a slot not taken within 2 ms passes on. So it does from who waits
//!   for the inner service to be ready: of the quota nothing is taken until the moment a request is sent.
//! * **Nothing is held while waiting**, no readiness of the inner service above all. A request that
//!   is admitted is sent in `call`, through the instance that was made ready; nothing is boxed,
//!   spawned or allocated for it.
//! * **The upstream's own answer comes back**, frame by frame as it arrives.
//!
//! # Where it belongs
//!
//! Innermost of our layers, so that each attempt is paced; a limit of concurrency goes inside. State
//! lives in the [`Limiter`]: all services a layer makes share it.
//!
//! Those who wait for the same quota are looked after by one task, on the runtime of whoever was first to
//! wait. When that runtime is dropped another takes over; while it merely stands still, as a current-thread
//! runtime does outside `block_on`, those who wait on others may stand still with it.
//!
//! A request counts as sent when the inner service is called. What happens to it after that, such as
//! opening a connection, is jitter the guard has to cover: keep connections warm.
//!
//! # Coming from something else
//!
//! * **governor before calls**: a [`Quota`] holds all windows and tokens at once; GCRA's burst and a
//!   minute's refill are nearly twice what the minute allows. No map of limiters by key: there is one
//!   partition for each account and model.
//! * **`tower::limit::RateLimit`**: it is not `Clone`, and its windows are fixed: around the edge of two,
//!   twice as many pass.
//! * **`tower_governor`**, which limits callers of one's own: the module `inbound`, with the feature of
//!   that name.
//!
//! ```
//! use rate_limit_layer::{Limiter, Quota, RateLimit, RateLimitLayer};
//! use tower::Layer;
//!
//! // Was: RateLimiter::direct(Quota::per_minute(nonzero!(600u32))), and `until_ready` before each call
//! fn paced<S>(client: S) -> RateLimit<S> {
//!     let quota = Quota::new().requests_per_minute(600).requests_per_second(10);
//!     RateLimitLayer::new(Limiter::new(quota)).layer(client)
//! }
//! ```
//!
//! # Tokens
//!
//! Tokens of a request are estimated from its body ([`Estimate`]), and corrected by the `usage` in a
//! JSON answer or an event of a stream, whichever end the body comes to. Bodies that are encoded or
//! of another type keep the estimate.
//!
//! # Refusals
//!
//! What the upstream refuses nevertheless holds back requests, or those with tokens, of that account
//! and model for as long as the upstream says, up to a month. Where it does not say, it is for the time between two
//! requests at first, and four times longer with each refusal that follows. The wait that is
//! [typical](throttle_signal::Wait::Typical) of an upstream, by its profile, or a quarter of the
//! longest window, whichever is longer, bounds that and is not waited as such: the log knows when
//! there is room, and a refusal that it does not explain is mostly jitter. Only growth that was
//! refused is held back for the typical wait. What refusals taught is kept for an hour without a
//! request.
//!
//! # Cancel safety
//!
//! Dropping a response future before its request is sent gives back all it held. Dropped later, the
//! request keeps what was estimated: the upstream has it.
//!
//! # Features
//!
//! * `inbound`: limits on requests that come in, by key.
//! * `metrics`: the histogram `rate_limit_wait_seconds`, and the counters `rate_limit_refusals_total` of
//!   what the upstream refused and `rate_limit_handed_back_total` of what was not sent, by `account`,
//!   `model` and, the counters, `kind`. Models are named by callers: bound them where they are not yours.
//! * `redis`: quotas that many instances share through Redis or Valkey: the module `shared`.
//! * `tracing`: an event for each of these, at level debug, and at level trace for waits; and, at levels warn
//!   and info, for a store that is out of reach and answers again.
//!
//! [tower]: https://docs.rs/tower

#![cfg_attr(docsrs, feature(doc_cfg))]

mod body;
mod bound;
mod builder;
mod clock;
mod control;
mod core;
mod cost;
mod driver;
mod estimate;
mod future;
mod headers;
#[cfg(feature = "inbound")]
#[cfg_attr(docsrs, doc(cfg(feature = "inbound")))]
pub mod inbound;
#[cfg(test)]
mod interleavings;
mod layer;
mod limit;
mod limiter;
mod lines;
mod lock;
mod log;
mod model_studio;
mod num;
#[cfg(test)]
mod oracle;
mod pacer;
mod partition;
mod plan;
mod plans;
mod queue;
mod quota;
mod ramp;
mod refusal;
mod registry;
mod room;
mod row;
mod scale;
mod scan;
mod service;
#[cfg(feature = "redis")]
#[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
pub mod shared;
mod slab;
mod snapshot;
mod state;
mod sweeper;
mod sync;
mod turns;
mod usage;
mod wakes;
mod watch;
mod window;

pub use self::body::ResponseBody;
pub use self::builder::LimiterBuilder;
pub use self::cost::{Charging, Cost};
pub use self::estimate::{ByBytes, Estimate};
pub use self::future::ResponseFuture;
pub use self::layer::RateLimitLayer;
pub use self::limit::{Limit, Unit};
pub use self::limiter::Limiter;
pub use self::pacer::{Pacer, Reserved};
pub use self::quota::Quota;
pub use self::service::RateLimit;
pub use self::snapshot::{LimitSnapshot, PartitionSnapshot};

/// Runs the examples of the README as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
