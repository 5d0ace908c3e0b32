//! Reads what an upstream means when it refuses a request, and carries the verdict to every layer.

mod classified;
mod deadline;
mod demand;
mod facts;
mod headroom;
mod kind;
mod names;
mod reader;
mod refusal;
mod scope;
mod throttle;
mod times;
mod trail;
mod wait;

pub use self::classified::Classified;
pub use self::deadline::{DeadlineLayer, WithDeadline};
pub use self::demand::Demand;
pub use self::facts::RequestFacts;
pub use self::headroom::Headroom;
pub use self::kind::Kind;
pub use self::names::{AccountId, Fingerprint, Tenant};
pub use self::reader::{Read, Reader, Reading};
pub use self::refusal::{Envelope, is_grpc};
pub use self::scope::Scope;
pub use self::throttle::{Origin, Throttle};
pub use self::times::{Deadline, Priority, StartBy};
pub use self::trail::{Step, Trail};
pub use self::wait::Wait;
