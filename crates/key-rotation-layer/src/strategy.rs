use std::time::Duration;

/// How the pool picks among the accounts that can take a request.
///
/// Whatever is picked, accounts known to be out are passed over, and a key that was never answered
/// serves one request at a time while another account can take the rest. With a
/// [forecast](crate::KeyRotationLayer::headroom), an account that has no room now is passed over, too,
/// while another one has; when none has, all strategies go to the earliest slot.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Strategy(pub(crate) Pick);

#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) enum Pick {
    #[default]
    EarliestSlot,
    RoundRobin,
    Weighted,
    LeastRecentlyUsed,
    FillFirst,
    Sticky {
        spill_after: Duration,
    },
}

impl Strategy {
    /// The account that can send the request soonest, by the limiter's forecast; among equals the
    /// one that rested longest. The default.
    ///
    /// Without a forecast all accounts are equal, and it is least recently used.
    #[must_use]
    pub const fn earliest_slot() -> Self {
        Self(Pick::EarliestSlot)
    }

    /// One account after the other, in the order they were added.
    #[must_use]
    pub const fn round_robin() -> Self {
        Self(Pick::RoundRobin)
    }

    /// In proportion to the accounts' weights, evenly interleaved.
    #[must_use]
    pub const fn weighted() -> Self {
        Self(Pick::Weighted)
    }

    /// The account that was chosen longest ago.
    #[must_use]
    pub const fn least_recently_used() -> Self {
        Self(Pick::LeastRecentlyUsed)
    }

    /// The first account in the order they were added, so that prompt caches stay warm and the last
    /// accounts stay in reserve.
    ///
    /// Without a forecast the first usable account always has room.
    #[must_use]
    pub const fn fill_first() -> Self {
        Self(Pick::FillFirst)
    }

    /// All requests of one conversation to one account, so that prompt caches stay warm; to the
    /// earliest slot when that account is out, or has no room for longer than `spill_after`.
    ///
    /// What belongs together is told by the layer's
    /// [`sticky_by`](crate::KeyRotationLayer::sticky_by); a request it says nothing about goes to
    /// the earliest slot. Accounts added or removed move only the conversations that must move
    /// (rendezvous hashing, by weight).
    #[must_use]
    pub const fn sticky(spill_after: Duration) -> Self {
        Self(Pick::Sticky { spill_after })
    }
}
