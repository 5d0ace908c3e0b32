//! A [tower] layer that moves on to another model or endpoint when one has no room.
//!
//! [`FallbackLayer`] holds a chain of [`Candidate`]s. A request goes to the first; when that has no room
//! within its patience, its quota is used up, its server is overloaded or fails, the request is made one
//! for the next candidate and sent again. The caller gets an answer, and learns whose it is.
//!
//! # Example
//!
//! ```
//! use std::convert::Infallible;
//! use std::time::Duration;
//!
//! use bytes::Bytes;
//! use fallback_layer::{Candidate, FallbackLayer};
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Full;
//! use replay_body::Replay;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Infallible> {
//! // An upstream whose best model has no room for the next minute.
//! let upstream = service_fn(async |request: Request<Full<Bytes>>| {
//!     let mut response = Response::new(Full::<Bytes>::default());
//!     if request.body().bytes().unwrap_or_default().starts_with(br#"{"model":"qwen3-max""#) {
//!         *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
//!         response.headers_mut().insert("retry-after", 60.into());
//!     }
//!     Ok::<_, Infallible>(response)
//! });
//!
//! let client = ServiceBuilder::new()
//!     .layer(FallbackLayer::new([
//!         Candidate::model("qwen3-max").patience(Duration::from_secs(2)),
//!         Candidate::model("qwen-plus"),
//!     ]))
//!     .service(upstream);
//!
//! let body = Full::from(r#"{"model":"qwen3-max","messages":[]}"#);
//! let response = client.oneshot(Request::new(body)).await?;
//! assert_eq!(response.status(), StatusCode::OK);
//! assert_eq!(response.headers()["x-fallback-candidate"], "qwen-plus");
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
//! Put it outermost. Every candidate but the last is sent down with a
//! [`StartBy`](throttle_signal::StartBy) of now plus its patience: the limiter below refuses at once what
//! it cannot admit by then, and the retry layer does not wait past it. So a model is filled before the next
//! is used, and patience is about room, never about how long an answer takes. Put it outside of what
//! signs requests, since it changes bodies.
//!
//! # What the layer promises
//!
//! * **Only the model changes.** It is spliced into the top level of a JSON body: key order, spaces,
//!   long numbers and nested `model`s stay byte for byte. `Content-Length` is set right and digests are
//!   dropped; an encoded or streaming body is left alone.
//! * **A short wait is not a reason to leave.** A refusal that ends within the patience comes back for
//!   the layer that waits; unless the layers below have tried more than once and given up.
//! * **A candidate known to be out is not asked.** When its time is over one request probes it; others
//!   follow when it was answered, or was not refused for a second. One that failed without a refusal, by
//!   silence say, is asked by one request at a time. When all are out the answer comes without a request.
//! * **A request that fails everywhere benches nobody.** Server errors and timeouts count against a
//!   candidate only once another has answered the same request.
//! * **Nothing is repeated after the first event of a stream.** Until that event has come the head of the
//!   response is held back, and an error in its place goes to the next candidate. It is held for a minute
//!   at most, or as long as [`first_byte`](Candidate::first_byte) says, and up to 64 KiB.
//! * **When all fail, the first candidate's own refusal comes back**, with the earliest time anything
//!   frees up.
//! * **The caller learns who answered**: `x-fallback-candidate`, `x-fallback-attempts`, and why each other
//!   one was left in the [`Trail`](throttle_signal::Trail).
//! * **A host's secrets stay with it.** A candidate at another host gets none of the request's own
//!   credentials: the usual headers, those marked sensitive, and a key in the query.
//!
//! # Coming from LiteLLM's router
//!
//! `fallbacks` and `context_window_fallbacks` become the one chain of [`Candidate`]s:
//!
//! ```
//! use fallback_layer::{Candidate, Fallback, FallbackLayer};
//! use tower::Layer;
//!
//! // Was: fallbacks: [{qwen3-max: [qwen-plus]}], context_window_fallbacks: [{qwen3-max: [qwen-long]}]
//! fn falling_back<S>(client: S) -> Fallback<S> {
//!     FallbackLayer::new([
//!         Candidate::model("qwen3-max").context(262_144),
//!         Candidate::model("qwen-plus").context(1_000_000),
//!         Candidate::model("qwen-long"),
//!     ])
//!     .layer(client)
//! }
//! ```
//!
//! # Limits
//!
//! * Bodies must be [`Replay`](replay_body::Replay) and `From<Bytes>`; what streams gets that from
//!   [`ReplayLayer`](replay_body::ReplayLayer).
//! * A request no candidate can be applied to goes down once, as it came.
//! * While other candidates are tried, the first refusal is kept, up to 64 KiB of its body read.
//! * A stream that stalls after its first event cannot go to the next candidate: part of its answer has
//!   been given. It is waited for, unless the candidate has a [`stall`](Candidate::stall); then it ends
//!   with an event that says so. Before its first event, [`first_byte`](Candidate::first_byte) bounds it.
//! * What an upstream began before a timeout or a server error it may finish, and charge for.
//! * Extensions match by type: use the same release of all crates of this family.
//!
//! # Cancel safety
//!
//! Dropping the response future drops the attempt under way and makes no other.
//!
//! [tower]: https://github.com/tower-rs/tower

mod body;
mod candidate;
mod chain;
mod error;
mod future;
mod judge;
mod layer;
mod members;
mod memory;
mod on_error;
mod outcome;
mod probe;
mod refusal;
mod rewrite;
mod run;
mod service;
mod splice;
mod triggers;

pub use self::body::ResponseBody;
pub use self::candidate::Candidate;
pub use self::error::{EmptyChain, NotJson};
pub use self::future::ResponseFuture;
pub use self::layer::FallbackLayer;
pub use self::on_error::{ErrorFn, NoError, OnError};
pub use self::service::Fallback;
pub use self::triggers::Triggers;

/// Runs the examples of the README as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
