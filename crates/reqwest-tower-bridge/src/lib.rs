//! Runs tower layers as reqwest middleware, and reqwest as a tower service.
//!
//! Three adapters, each one line of a stack:
//!
//! | have | want | take |
//! | --- | --- | --- |
//! | a `ClientWithMiddleware` | a tower layer in its chain | [`LayerMiddleware`] |
//! | a tower stack | reqwest, with or without middleware, at its bottom | [`ClientService`] |
//! | a tower stack over reqwest | it where a `reqwest::Client` is expected as a service | [`StackLayer`] |
//!
//! # Example
//!
//! ```
//! use reqwest::Client;
//! use reqwest_middleware::ClientBuilder;
//! use reqwest_tower_bridge::LayerMiddleware;
//! use retry_429_layer::Retry429Layer;
//!
//! # async fn send() -> reqwest_middleware::Result<()> {
//! let client = ClientBuilder::new(Client::new())
//!     .with(LayerMiddleware::new(Retry429Layer::new()))
//!     .build();
//!
//! let response = client.get("http://localhost:8080/").send().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What the crate promises
//!
//! * **What a layer shares lasts.** [`LayerMiddleware`] applies its layer anew for each request, to the rest
//!   of the chain; limits, pools and budgets that the layer keeps behind an `Arc`, as ours do, hold for all.
//! * **A request goes down as it came**, but for what a layer changed: method, URL with its fragment,
//!   version, headers, extensions. What came by `with_extension` is among the extensions that layers
//!   see, and is there for middleware further down; what that leaves in it is there for middleware
//!   further up.
//! * **A response comes up as it was**: URL, remote address, version, headers, extensions, length. One
//!   that a layer made itself has the URL of the request.
//! * **The timeout of a request is the caller's.** It becomes a [`Deadline`](throttle_signal::Deadline), unless an
//!   earlier one is set; each attempt gets what is left of it.
//! * **A body in memory stays in memory.** It is complete to the layers, and to reqwest, which follows a
//!   307 or 308 with it, and reqwest-retry, above or below, can send it again. It is not copied.
//! * **A body that streams, streams.** It passes as it comes, is not recorded and is never sent twice.
//! * **An error is the client's own.** `is_connect()`, `is_timeout()` and `status()` answer as without
//!   layers, even where a layer put the error in a box. An error of a layer is
//!   [`LayerFailed`], in [`reqwest_middleware::Error::Middleware`].
//!
//! # Limits
//!
//! * A layer that starts anew each time it is applied limits nothing in [`LayerMiddleware`]: tower's
//!   `ConcurrencyLimitLayer` and `RateLimitLayer` do, its `GlobalConcurrencyLimitLayer` does not.
//! * [`LayerMiddleware`] lends the layer a service that borrows the client. A layer that asks for a `'static`
//!   service, such as tower's buffer or boxed services, goes around a [`ClientService`] instead.
//! * Only a timeout set on the request is seen. One set on the client is reqwest's own and bounds each
//!   attempt.
//! * reqwest follows redirects below the layers: they see, and limiters count, one request.
//! * Not for WebAssembly.
//!
//! # Cancel safety
//!
//! Dropping a future drops the request and whatever the layers hold for it; nothing is spawned. What came by
//! `with_extension` stays with the middleware above, which may send again.

mod body;
mod client;
mod failure;
mod lent;
mod message;
mod middleware;
mod next;
mod origin;
mod stack;

pub use self::body::RequestBody;
pub use self::client::{ClientFuture, ClientService};
pub use self::failure::LayerFailed;
pub use self::middleware::LayerMiddleware;
pub use self::next::{NextLayer, NextService};
pub use self::stack::{StackFuture, StackLayer, StackService};

/// Runs the examples of the README as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
