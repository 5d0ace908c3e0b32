//! HTTP bodies that can be read twice.
//!
//! A layer that sends a request again needs its body again, and a layer that looks into a response
//! has to hand it on whole. [`ReplayLayer`] turns request bodies into [`ReplayBody`]s, which have
//! [`Replay`]; [`KeptHead`] keeps what else there is of a request. [`Peek`] reads the beginning of a
//! response body and returns it as a [`PeekBody`].
//!
//! # Example
//!
//! ```
//! use std::convert::Infallible;
//!
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use replay_body::{Replay, ReplayBody, ReplayLayer};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Infallible> {
//! let client = ServiceBuilder::new()
//!     .layer(ReplayLayer::new(1 << 20)) // keep up to 1 MiB of each body
//!     .service(service_fn(async |request: Request<ReplayBody<Full<Bytes>>>| {
//!         let again = request.body().replay();
//!         assert_eq!(again.and_then(|body| body.bytes()), Some(Bytes::from("hello")));
//!         Ok::<_, Infallible>(Response::new(()))
//!     }));
//!
//! client.oneshot(Request::new(Full::new(Bytes::from("hello")))).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What the crate promises
//!
//! * **What goes in comes out.** Data, trailers and errors pass at their place, whatever the
//!   frames, the cap or the limit.
//! * **A wrapped body tells the truth.** `size_hint` and `is_end_stream` are the inner body's, less
//!   what was yielded and plus what was put back.
//! * **A part of a body is never replayed as the whole.** A body that failed, was dropped half way
//!   or grew over its cap has no replay.
//! * **A failing request body is the inner service's business.** The error reaches it as the body's
//!   own, after the data before it; [`ReplayLayer`] adds no error.
//! * **Nothing is held while waiting.** While [`ReplayLayer`] waits for a body it holds no
//!   readiness of the inner service.
//! * **Nothing is boxed that was not peeked into.**
//!
//! # Limits
//!
//! * A request body that states its size is collected if that is within the cap, and its statement
//!   is believed: one that yields more than it stated is collected all the same.
//! * A body of unknown size is sent on as it comes, and recorded. Until it has ended it has neither
//!   [`bytes`](Replay::bytes) nor a [`replay`](Replay::replay); what a layer [kept](Replay::keep)
//!   of it can be replayed afterwards.
//! * A [`Full`](http_body_util::Full) is replayable only until it is polled.
//!
//! # Cancel safety
//!
//! Dropping a future or a body of this crate drops what it read and nothing else. No task and no
//! timer is left behind.

mod body;
mod future;
mod gather;
mod head;
mod into_body;
mod kept;
mod layer;
mod peek;
mod peek_body;
mod peeked;
mod put_back;
mod replay;
mod service;
mod tape;
mod whole;

pub use self::body::ReplayBody;
pub use self::future::ReplayFuture;
pub use self::head::KeptHead;
pub use self::into_body::{IntoBody, IntoBodyLayer};
pub use self::kept::Kept;
pub use self::layer::ReplayLayer;
pub use self::peek::Peek;
pub use self::peek_body::PeekBody;
pub use self::peeked::Peeked;
pub use self::replay::Replay;
pub use self::service::ReplayService;

/// Runs the examples of the README as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
