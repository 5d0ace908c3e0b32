//! The limits themselves: pure, without sockets, tasks or clocks. Time is an argument.

mod ask;
mod charging;
mod growth;
mod log;
mod meter;
mod partition;
mod quota;
mod refusal;
mod stranger;
mod tally;
mod usage;
mod wait;
mod window;

pub use ask::Ask;
pub use charging::Charging;
pub use growth::Growth;
pub use partition::{Partition, Ticket};
pub use quota::Limits;
pub use refusal::{Refusal, RefusalKind};
pub use stranger::Stranger;
pub use tally::{Tally, WindowTally};
pub use usage::Usage;
pub use window::{Counting, Unit, Window};
