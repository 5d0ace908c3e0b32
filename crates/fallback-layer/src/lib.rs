//! A tower layer that moves on to another model or endpoint when one has no room.

mod candidate;
mod chain;
mod error;
mod future;
mod judge;
mod layer;
mod memory;
mod on_error;
mod rewrite;
mod run;
mod service;
mod splice;
mod triggers;

pub use self::candidate::Candidate;
pub use self::error::{EmptyChain, NotJson};
pub use self::future::ResponseFuture;
pub use self::layer::FallbackLayer;
pub use self::on_error::{ErrorFn, NoError, OnError};
pub use self::service::Fallback;
pub use self::triggers::Triggers;
