//! A server on loopback that limits and answers like Alibaba Model Studio.

mod limits;
mod server;

pub use limits::{
    Ask, Charging, Counting, Growth, Limits, Partition, Refusal, RefusalKind, Stranger, Tally,
    Ticket, Unit, Usage, Window, WindowTally,
};
pub use server::{Builder, Fault, Latency, Ledger, PartitionLedger, Simulator, When};
