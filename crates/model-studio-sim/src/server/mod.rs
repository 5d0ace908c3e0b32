//! The limits over real HTTP.

mod answer;
mod body;
mod builder;
mod call;
mod charge;
mod chat;
mod embeddings;
mod envelope;
mod fault;
mod id;
mod latency;
mod ledger;
mod native;
mod prompt;
mod random;
mod route;
mod served;
mod simulator;
mod stop;
mod tool;
mod when;
mod wire;
mod world;
mod writer;

pub use builder::Builder;
pub use fault::Fault;
pub use latency::Latency;
pub use ledger::{Ledger, PartitionLedger};
pub use simulator::Simulator;
pub use when::When;
