use std::num::NonZeroU32;

/// What an instance does with a partition while the store is out of reach.
///
/// Figures are those of the reference simulation: eight instances with uneven and moving demand of one
/// and a half times the quota, and the store away for a minute.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Outage {
    /// Goes on with the share of the quota it was granted of late, averaged over about ten seconds: 89 %
    /// of the quota was used, and 0.2 % of requests were refused. An instance that was granted nothing
    /// yet takes an equal share of the members it knows of; one that never reached the store waits.
    #[default]
    LastShare,

    /// Goes on with one part of so many: 53 % of the quota was used.
    Share(NonZeroU32),

    /// Sends nothing.
    Closed,

    /// Goes on as if alone, with the whole quota: nothing is lost by the outage, but 79 % of requests
    /// were refused by the upstream.
    Open,
}
