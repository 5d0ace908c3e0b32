//! A tower layer that waits and sends again when the upstream refuses for now.
//!
//! [`Retry429Layer`] wraps an HTTP client. When a response says the caller is going too fast, in
//! whatever words its provider has for that, the layer waits, for as long as it was told or else as such
//! limits usually take or else by exponential backoff, and sends the request again. Every other
//! response, and every error, goes to the caller untouched.
//!
//! # Example
//!
//! ```
//! use std::convert::Infallible;
//! use std::sync::Arc;
//! use std::sync::atomic::{AtomicU32, Ordering};
//!
//! use bytes::Bytes;
//! use http::header::RETRY_AFTER;
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Full;
//! use retry_429_layer::{Backoff, Retry429Layer};
//! use throttle_signal::Trail;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Infallible> {
//! // An upstream that turns the first two requests away.
//! let seen = Arc::new(AtomicU32::new(0));
//! let upstream = service_fn(move |_: Request<Full<Bytes>>| {
//!     let mut response = Response::new(Full::<Bytes>::default());
//!     if seen.fetch_add(1, Ordering::Relaxed) < 2 {
//!         *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
//!         response.headers_mut().insert(RETRY_AFTER, 3.into());
//!     }
//!     async { Ok::<_, Infallible>(response) }
//! });
//!
//! let client = ServiceBuilder::new()
//!     .layer(Retry429Layer::with_policy(Backoff::new().max_retries(2)))
//!     .service(upstream);
//!
//! let mut response = client.oneshot(Request::new(Full::from("hello"))).await?;
//! assert_eq!(response.status(), StatusCode::OK);
//! assert_eq!(Trail::of(response.extensions_mut()).attempts, 3);
//! # Ok(())
//! # }
//! ```
//!
//! # What the layer promises
//!
//! * **The upstream's own answer comes back.** When retries run out the caller receives the last
//!   refusal, headers and body included, not an error of this crate's making.
//! * **Never sooner than told.** A stated wait is waited out in full, or, if it is longer than the policy
//!   allows or would pass the [`Deadline`](throttle_signal::Deadline), not waited for at all.
//! * **What no wait cures is not waited for.** An exhausted quota or a wrong key comes back at once.
//! * **A refusal that is paced below goes back to its old place.** The layer sends it again at once, with
//!   the facts of the first attempt, and the limiter holds it.
//! * **Nothing is held while waiting.** The refused response is dropped before the wait, and the
//!   inner service is asked for readiness only after it, so a waiting request occupies no
//!   concurrency permit below this layer.
//! * **Retries add no more load than their [`Budget`]**, and a retry that is answered is free.
//! * **Those that were told to wait come back one after another**, the oldest of a partition first.
//! * **Backpressure passes through.** The layer is ready exactly when the inner service is.
//! * **Nothing is sent twice that may have been processed**, unless the policy says so.
//!
//! # Request bodies
//!
//! A request can be sent twice only if it can be kept, so its body must have
//! [`Replay`](replay_body::Replay). One that cannot be sent again is sent once and its answer passed on.
//!
//! # Coming from something else
//!
//! * **`tower::retry`**: the layer goes in its place. A policy decides and does not sleep: see [`Policy`];
//!   [`Backoff`] is the one there is. Nothing is cloned that need not be, and no permit is held.
//! * **reqwest-retry**: `LayerMiddleware::new(Retry429Layer::new())` of `reqwest-tower-bridge` goes in place of
//!   `RetryTransientMiddleware`, which does not look at `Retry-After`.
//! * **An SDK's retries**: switch them off, such as by `max_retries=0`, or attempts multiply.
//!
//! ```
//! use retry_429_layer::{Backoff, Retry429, Retry429Layer};
//! use tower::Layer;
//!
//! // Was: Retry::new(MyPolicy { attempts: 4 }, client)
//! fn retrying<S>(client: S) -> Retry429<S> {
//!     Retry429Layer::with_policy(Backoff::new().max_retries(3)).layer(client)
//! }
//! ```
//!
//! # Limits
//!
//! It must stay outside of what it is to retry, and inside of an overall timeout; no other retry belongs
//! around it. Versions of `throttle-signal` must match in a stack: layers hear each other through its types.
//!
//! # Cancel safety
//!
//! Dropping the response future abandons the request. No further attempt is made and no timer or
//! task is left behind; an attempt already handed to the inner service is cancelled as that
//! service cancels it.

mod attempt;
mod attempts;
mod backoff;
mod budget;
mod future;
mod herd;
mod layer;
mod policy;
mod random;
mod service;

pub use self::attempt::Attempt;
pub use self::backoff::Backoff;
pub use self::budget::{Budget, Claim, TokenBudget};
pub use self::future::ResponseFuture;
pub use self::layer::Retry429Layer;
pub use self::policy::{Decision, Policy, WithErrors};
pub use self::service::Retry429;

/// Runs the examples of the README as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
