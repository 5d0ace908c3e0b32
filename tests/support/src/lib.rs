//! Scripted upstreams and misbehaving bodies for the tests of every layer.
//!
//! [`Upstream`] answers each request with the next answer of its script and notes when the request
//! came. Under tokio's paused clock that makes a test a timeline: so many seconds in, this request;
//! so many later, that one. [`Steps`] is a body that fails, hangs or takes its time. [`process`]
//! starts real programs, [`redis`] real stores, and [`Proxy`] stands between a client and one of
//! them. [`Events`] listens to what is traced.
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//!
//! use bytes::Bytes;
//! use http::Request;
//! use http_body_util::Full;
//! use test_support::{Answer, Upstream, ok, throttled_for};
//! use tower::ServiceExt;
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! let slow = Answer::from(ok()).after(Duration::from_secs(2));
//! let upstream = Upstream::new([throttled_for(3).into(), slow]);
//!
//! for _ in 0..2 {
//!     let request = Request::new(Full::<Bytes>::default());
//!     upstream.clone().oneshot(request).await.unwrap();
//! }
//! assert_eq!(upstream.arrivals(), [0, 0]);
//! # }
//! ```

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test helper fails by panicking"
)]

pub mod process;
pub mod redis;

mod answer;
mod events;
mod proxy;
mod steps;
mod upstream;

pub use self::answer::{
    Answer, UpstreamError, event, json, ok, sse, throttled, throttled_for, with_status,
};
pub use self::events::{Events, alone};
pub use self::proxy::Proxy;
pub use self::steps::{BodyError, NotUnpin, Steps};
pub use self::upstream::{Seen, Upstream, UpstreamFuture};
