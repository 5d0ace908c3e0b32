//! Reads what an upstream means when it refuses a request, and carries the verdict to every layer.
//!
//! A `429` can mean "wait a second", "wait until Monday", "pay" or "you are not the problem", and the same
//! words mean one thing at one provider and another at the next. [`Reader`] names what a response is: a
//! [`Throttle`] says what was exceeded, whom it concerns, how long it lasts and whether waiting helps. Layers
//! that have never heard of each other act together by finding it in the response's extensions, and the
//! [`RequestFacts`] in the request's.
//!
//! # Example
//!
//! ```
//! use http::{HeaderMap, StatusCode};
//! use throttle_signal::{Kind, Reader, Scope, Wait};
//!
//! let body = br#"{"code":"Throttling.BurstRate","message":"Request rate increased too quickly."}"#;
//! let mut headers = HeaderMap::new();
//! headers.insert("retry-after", 20.into());
//!
//! let reader = Reader::new();
//! let throttle = reader.classify("dashscope.aliyuncs.com", StatusCode::TOO_MANY_REQUESTS, &headers, body);
//! let throttle = throttle.ok_or("a 429 is a refusal")?;
//! assert_eq!(throttle.kind(), Kind::Burst);
//! assert_eq!(throttle.scope(), Scope::Model);
//! assert_eq!(throttle.wait(), Wait::Stated(std::time::Duration::from_secs(20)));
//! assert_eq!(throttle.because(), "model-studio: burst code");
//! # Ok::<(), &str>(())
//! ```
//!
//! # What the crate promises
//!
//! * **The host decides first.** Codes are read by the table of the provider that sent them, machine fields
//!   before sentences. A stranger is read by what means the same nearly everywhere.
//! * **A stated wait is a floor**, whatever form it comes in, and the most exact source is believed:
//!   `grpc-retry-pushback-ms`, `retry-after-ms`, `Retry-After`, `RetryInfo`, body fields, the message, the reset of
//!   a dimension of which nothing remains. Dates are measured by the response's own `Date`.
//! * **A wait does not make a terminal refusal a retry.** A request larger than the limit, a limit of nothing
//!   and a day's quota stay what they are.
//! * **The body is handed on whole**: data, trailers and errors, wherever reading stopped.
//! * **A success costs no more than a look**, but where errors hide in the provider's successes.
//! * **Nothing that strangers send makes it panic**, and no id or key of theirs gets into a log: a verdict
//!   shows profile and rule; the upstream's words, [`Throttle::said`], are masked.
//!
//! # Limits
//!
//! An error's body is looked at for 64 KiB and five seconds. A compressed one is opened with the features
//! `decompress` (gzip and deflate), `brotli` and `zstd`, each of up to three codings up to as much, as far as
//! it came: of zstd that is to its last whole block, of 128 KiB at most. Without them headers and status
//! decide. All crates of the workspace must have one version in a stack: extensions match by type.
//!
//! # Cancel safety
//!
//! Dropping [`Read`] drops the response. Nothing else waits or is left behind.

mod classified;
mod coding;
mod deadline;
mod demand;
mod evidence;
mod facts;
mod grpc;
mod headroom;
mod host;
mod judge;
mod kept;
mod kind;
mod look;
mod matcher;
mod names;
mod profile;
mod profiles;
mod reader;
mod reading;
mod redact;
mod refusal;
mod rule;
mod scope;
mod sse;
mod stated;
mod suspicion;
mod throttle;
mod times;
mod trail;
mod wait;
mod walk;
mod when;
mod windows;

pub use self::classified::Classified;
pub use self::deadline::{DeadlineLayer, WithDeadline};
pub use self::demand::Demand;
pub use self::facts::RequestFacts;
pub use self::headroom::Headroom;
pub use self::kept::KeptRequest;
pub use self::kind::Kind;
pub use self::names::{AccountId, Fingerprint, Tenant};
pub use self::profile::Profile;
pub use self::reader::Reader;
pub use self::reading::{Read, Reading};
pub use self::refusal::{Envelope, is_grpc, set_retry_after};
pub use self::rule::Rule;
pub use self::scope::Scope;
pub use self::throttle::{Origin, Throttle};
pub use self::times::{Deadline, Priority, StartBy};
pub use self::trail::{Step, Trail};
pub use self::wait::Wait;

/// Runs the examples of the README as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
