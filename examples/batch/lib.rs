//! A batch of prompts, finished inside the quota.
//!
//! [`Args`] is the command line, [`run`] does what it says. From there:
//!
//! * `input`, `line`: what is asked; `output`, `record`: what came of it, so that a killed run goes on.
//! * `target`: the endpoint, its keys and quotas; `stack`: the four layers over `wire`, the client.
//! * `dispatch`: so many errands at a time; `errand`: one request, from its body to its record.
//! * `compare`, `by_hand`, `chart`: the same work as people do it without the layers.

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

/// Runs the example of the README as a test.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
