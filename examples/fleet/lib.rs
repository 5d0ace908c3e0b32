//! A fleet of processes that use one account and stay within its quota together.
//!
//! [`Args`] is the command line, [`run`] does what it says. From there:
//!
//! * `processes`: the real thing: a store, a simulator, and this program as its own instances
//!   (`instance`, `child`), which talk to it in lines of `word`.
//! * `simulated`: the same in one process and in virtual time, over `network`; and one client alone
//!   with the same demand, for comparison.
//! * `demand`: uneven, moving, and more than the quota; `worker`: one instance's jobs; `job`: one of
//!   them, through `stack`, to what came of it.
//! * `tally`, `report`: what is counted, and what is shown.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "counts and times are far below 2⁵² and not negative"
)]

mod args;
mod child;
mod command;
mod demand;
mod instance;
mod job;
mod network;
mod processes;
mod quota;
mod report;
mod simulated;
mod stack;
mod stop;
mod tally;
mod word;
mod worker;

pub use self::args::Args;
pub use self::command::run;
