//! What a partition takes from outside: a lock, a clock, and a task with a timer. They are ours, std's and
//! tokio's, and in the unit tests of this crate loom's and a model's: see `interleavings`.

#[cfg(test)]
mod model;

#[cfg(test)]
pub(crate) use self::model::{Lock, Runtime, Sleep, now, restart, sleep_until, spawn};
#[cfg(not(test))]
pub(crate) use crate::lock::Lock;
#[cfg(not(test))]
pub(crate) use tokio::spawn;
#[cfg(not(test))]
pub(crate) use tokio::time::{Sleep, sleep_until};

#[cfg(not(test))]
pub(crate) fn now() -> tokio::time::Instant {
    tokio::time::Instant::now()
}
