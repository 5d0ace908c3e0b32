use std::num::NonZeroU32;

/// What an instance does with a partition while the store is out of reach.
///
/// What was granted before is sent at its time in any case but [`Closed`](Self::Closed).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Outage {
    /// Goes on with its last fair share of the quota. Each instance tells the store once a second what it wants: for what
    /// came up in about the last five seconds, and for what waits. Each gets that up to a level at which the shares of all
    /// are one quota; of what is left over, half is shared out evenly and half as they want. All take what left the windows
    /// last as sent by all, each its part, so that together they keep to the windows from the first moment on.
    ///
    /// How much of the quota that comes to depends on how demand moves meanwhile, which nobody can know. In an outage
    /// of ten seconds, of eight instances that together want one and a half times a quota of 500 in ten seconds, and one
    /// of them half of that, 87 to 98 % is used while demand stays where it is, and 75 to 97 % where it moves on by an
    /// instance every four, ten or twenty seconds: least where half of it moves, as the store goes, to one that wanted
    /// nothing before.
    ///
    /// In one of sixty such outages 3 % of what was sent was refused, in the others next to nothing. There demand had
    /// moved a second before: the one it moved to had told that it wants more, and had heard of its larger share, when the
    /// store went; the others would have heard of their smaller ones within a second. So all together went on with 1.05
    /// quotas. Were a larger share counted on only when the others must have heard of it, nothing would have been refused
    /// there, but where half of the demand moved two seconds before the store went, 62 % of the quota would have been used
    /// and not 79 %.
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
