//! A batch of prompts, finished inside the quota.

mod args;
mod by_hand;
mod chart;
mod command;
mod compare;
mod dispatch;
mod endpoint;
mod errand;
mod film;
mod input;
mod key;
mod line;
mod output;
mod progress;
mod quota;
mod record;

mod stack;
mod stop;
mod table;
mod tally;
mod target;
mod wire;

pub use self::args::Args;
pub use self::command::run;
