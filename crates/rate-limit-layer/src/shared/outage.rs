use std::num::NonZeroU32;

/// What an instance does with a partition while the store is out of reach.
///
/// What was granted before is sent at its time in any case but [`Closed`](Self::Closed).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Outage {
    /// Goes on with its last fair share of the quota. Each instance tells the store once a second what it wants: what
    /// came up in about the last ten seconds, and what waits. Each gets that up to a level at which the shares of all
    /// are one quota, and what is left over is shared out evenly.
    ///
    /// How much of the quota that comes to depends on how demand moves meanwhile, which nobody can know. In an outage
    /// of ten seconds, of eight instances that together want one and a half times a quota of 500 in ten seconds, and one
    /// of them half of that, 91 to 96 % is used while demand stays where it is, and 68 to 83 % where it moves on by an
    /// instance every four or ten seconds. None of it is refused.
    ///
    /// An instance that wanted nothing has next to nothing until the store is back. One that told nothing for half a
    /// minute takes an equal share of the members it knows of, and one that never reached the store waits.
    #[default]
    LastShare,

    /// Goes on with one part of so many.
    Share(NonZeroU32),

    /// Sends nothing.
    Closed,

    /// Goes on as if alone, with the whole quota: so many instances send so many times what the upstream allows.
    Open,
}
