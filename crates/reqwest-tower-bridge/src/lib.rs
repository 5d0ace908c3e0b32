//! Runs tower layers as reqwest middleware, and reqwest as a tower service.

mod body;
mod client;
mod failure;
mod message;
mod middleware;
mod next;
mod stack;

pub use self::body::RequestBody;
pub use self::client::{ClientFuture, ClientService};
pub use self::failure::LayerFailed;
pub use self::middleware::LayerMiddleware;
pub use self::next::{NextLayer, NextService};
pub use self::stack::{StackFuture, StackLayer, StackService};
