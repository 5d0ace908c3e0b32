//! A [tower] layer that spreads requests over the keys of several accounts, and moves on when one is
//! refused.
//!
//! Quotas belong to accounts, so *n* accounts give *n* quotas. [`KeyRotationLayer`] sends each request
//! with a key of the account that has room soonest; when that is refused it leaves alone what the
//! refusal names, a key, an account, or a model on an account, and sends with the next account at
//! once. When all of them are out it answers `429` itself, with the earliest moment one is back.
//!
//! # Example
//!
//! ```
//! use std::convert::Infallible;
//!
//! use bytes::Bytes;
//! use http::header::AUTHORIZATION;
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Full;
//! use key_rotation_layer::{KeyPool, KeyRotationLayer};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // An upstream where the quota of account `a` is used up.
//! let upstream = service_fn(async |request: Request<Full<Bytes>>| {
//!     let mut response = Response::new(Full::<Bytes>::default());
//!     if request.headers()[AUTHORIZATION] == "Bearer sk-a1" {
//!         *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
//!     }
//!     Ok::<_, Infallible>(response)
//! });
//!
//! let pool = KeyPool::builder()
//!     .account("a", ["sk-a1"]) // from the environment or a vault, in earnest
//!     .account("b", ["sk-b1"])
//!     .build()?;
//! let client = ServiceBuilder::new()
//!     .layer(KeyRotationLayer::new(pool))
//!     .service(upstream);
//!
//! let response = client.oneshot(Request::new(Full::default())).await?;
//! assert_eq!(response.status(), StatusCode::OK);
//! # Ok(())
//! # }
//! ```
//!
//! # In a stack
//!
//! ```text
//! fallback → retry-429 → key-rotation → rate-limit → client
//! ```
//!
//! Put it above the limiter and give it the limiter as [`headroom`](KeyRotationLayer::headroom): the
//! pool then knows when each account has room. A request that waits in the limiter for one account is
//! handed back when its slot slips past that of another, and goes there. Put it below the retry layer:
//! each attempt is keyed anew.
//!
//! # What the layer promises
//!
//! * **It leaves alone what a refusal names and nothing more.** A wrong key benches the key, a blocked
//!   account the account, a full quota one model on one account, an overloaded server nobody. Other
//!   keys of a refused account are not asked.
//! * **Each account is asked at most once for one attempt**, and none after the request's
//!   [`StartBy`](throttle_signal::StartBy) or [`Deadline`](throttle_signal::Deadline) has passed.
//! * **Stated waits are kept, guesses are short.** A bench only grows. A wait nobody stated is drawn
//!   from 0 to 1 s, doubling with each failure up to 60 s.
//! * **Nothing is sent on what is out for good once that is known.** What is open-ended, such as a revoked
//!   key or an unpaid account, is probed [every 15 minutes](KeyPoolBuilder::probe_every) by one request;
//!   [`replace`](KeyPool::replace) and [`reset`](KeyPool::reset) bring it back sooner. What was sent before
//!   the first answer cannot be called back, but what waits in a limiter below is, and goes elsewhere.
//! * **The last key is never benched for longer than a minute by a guess**: it is last when all others are
//!   out for good, not when they cool.
//! * **A bench ends with one probe.** Others follow when it was answered, or was not refused for a
//!   second: refusals come fast, answers may take a minute.
//! * **A poisonous request harms nobody.** Refused for good by two keys, with no wait and not for the
//!   key's sake, it comes back, and neither account is benched.
//! * **A limiter below keeps its order.** A refusal it [paces](throttle_signal::Throttle::paced) benches
//!   nobody; unless another account is free earlier it goes up still paced.
//! * **The upstream's own answer comes back** when no other account can take the request. Only where
//!   the pool knows better, a wrong key here but room there in three seconds, it answers itself.
//! * **No secret is shown.** Keys are [`secrecy::SecretString`]s at rest and sensitive header values in
//!   flight; `Debug`, errors, trails and refusals name accounts and fingerprints.
//!
//! # Coming from LiteLLM's router
//!
//! Deployments of one `model_name` become accounts of a [`KeyPool`]; `cooldown_time` becomes nothing, since
//! a refusal or its provider's profile says how long; `usage-based-routing` becomes
//! [`headroom`](KeyRotationLayer::headroom). `fallbacks` are `fallback-layer`'s, `rpm` and `tpm`
//! `rate-limit-layer`'s.
//!
//! ```
//! use key_rotation_layer::{InvalidPool, KeyPool, KeyRotation, KeyRotationLayer};
//! use tower::Layer;
//!
//! // Was: two entries of `model_list` with the `model_name` qwen
//! fn rotating<S>(client: S) -> Result<KeyRotation<S>, InvalidPool> {
//!     let pool = KeyPool::builder().account("a", ["sk-a1"]).account("b", ["sk-b1"]).build()?;
//!     Ok(KeyRotationLayer::new(pool).layer(client))
//! }
//! ```
//!
//! # Watching it
//!
//! [`KeyPool::snapshot`] shows how each account and key stands. Two features, off by default, emit
//! what happens; no key and no fingerprint of one is a label of a metric:
//!
//! * `tracing`: an event at level debug for each refusal and what is done about it (`account`, `key` by its
//!   fingerprint, `model`, `kind`, `scope`, `decision`), and one each time all accounts are out.
//! * `metrics`: counters `key_rotation_refusals_total` (`account`, `kind`, `decision`: `next`, `up` or
//!   `instead`) and `key_rotation_all_out_total` (`kind`).
//!
//! # Limits
//!
//! * A request body that cannot be [replayed](replay_body::Replay) goes once; its refusal is learned
//!   from and comes back.
//! * Keys go only to their account's [hosts](Account::host), as far as this layer sees. Redirects are
//!   followed below it; reqwest, for one, drops `Authorization` when the host changes but keeps
//!   `x-api-key`. Turn redirects off for such accounts.
//! * The pool is one process's. What one instance learned, others do not know.
//! * Extensions match by type: use the same release of all crates of this family.
//!
//! # Cancel safety
//!
//! Dropping the response future gives back the key it used. Nothing is benched for it; was it the
//! probe of something, the next request is.
//!
//! [tower]: https://github.com/tower-rs/tower

mod account;
mod attempt;
mod bench;
mod best;
mod builder;
mod choose;
mod credential;
mod decision;
mod error;
mod future;
mod heir;
mod key;
mod layer;
mod lease;
mod member;
mod outlook;
mod pool;
mod rank;
mod refusal;
mod round;
mod sentence;
mod service;
mod snapshot;
mod standing;
mod sticky;
#[cfg(test)]
mod storm;
mod strategy;
mod term;
mod tried;
mod watch;

pub use self::account::Account;
pub use self::builder::KeyPoolBuilder;
pub use self::credential::Credential;
pub use self::error::InvalidPool;
pub use self::future::ResponseFuture;
pub use self::layer::KeyRotationLayer;
pub use self::pool::KeyPool;
pub use self::service::KeyRotation;
pub use self::snapshot::{AccountSnapshot, KeySnapshot, ModelSnapshot, Out};
pub use self::sticky::Conversation;
pub use self::strategy::Strategy;

/// Runs the examples of the README as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
