use std::time::Duration;

use super::window::nanos;

/// Foreign use of a quota: for a time, somebody else takes a share of it.
///
/// While it lasts every limit of the partition is lower by that share. This is what a colleague's
/// batch on the same account looks like from outside: refusals that one's own count does not explain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stranger {
    pub(super) from: u64,
    pub(super) until: u64,
    pub(super) percent: u32,
}

impl Stranger {
    /// Takes `percent` of every limit (more than 100 counts as 100) from `from` on, before `until`.
    #[must_use]
    pub const fn new(from: Duration, until: Duration, percent: u32) -> Self {
        Self {
            from: nanos(from),
            until: nanos(until),
            percent,
        }
    }

    const fn is_here(&self, now: u64) -> bool {
        self.from <= now && now < self.until
    }
}

/// What strangers leave of `limit` at `now`. Shares of several at once add up.
pub(super) fn left(strangers: &[Stranger], limit: u64, now: u64) -> u64 {
    if strangers.is_empty() {
        return limit;
    }
    let taken: u64 = strangers
        .iter()
        .filter(|stranger| stranger.is_here(now))
        .map(|stranger| u64::from(stranger.percent))
        .sum();
    let left = u128::from(limit) * u128::from(100_u64.saturating_sub(taken)) / 100;
    u64::try_from(left).unwrap_or(u64::MAX)
}

/// The first time after `after`, up to and with `until`, at which what is left changes.
pub(super) fn next_change(strangers: &[Stranger], after: u64, until: u64) -> Option<u64> {
    strangers
        .iter()
        .flat_map(|stranger| [stranger.from, stranger.until])
        .filter(|&at| after < at && at <= until)
        .min()
}
