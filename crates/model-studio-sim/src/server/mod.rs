//! The limits over real HTTP.

mod answer;
mod body;
mod builder;
mod charge;
mod chat;
mod envelope;
mod latency;
mod ledger;
mod prompt;
mod random;
mod route;
mod simulator;
mod world;
mod writer;

pub use builder::Builder;
pub use latency::Latency;
pub use ledger::{Ledger, PartitionLedger};
pub use simulator::Simulator;
