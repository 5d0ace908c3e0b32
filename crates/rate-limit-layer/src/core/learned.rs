use crate::Cost;
use crate::bound::Bound;
use crate::ramp::Ramp;
use crate::room::Room;
use crate::scale::Scale;

/// What the answers to one partition have taught, beside the guard.
#[derive(Debug, Default)]
pub(super) struct Learned {
    /// The limits as they stand with the guard and the scale, where that is not how they began.
    pub(super) bounds: Option<Box<[Bound]>>,

    pub(super) scale: Scale,
    pub(super) ramp: Ramp,
    pub(super) room: Room,

    /// Until when requests, and those with tokens, are held back after a refusal.
    pub(super) frozen: [u64; 2],

    /// Until when the quota is known to be exhausted.
    pub(super) closed_until: u64,

    /// Refusals in a row, counting those of one moment once.
    pub(super) streak: u8,

    /// What part of the limits is this instance's, while it cannot ask the store.
    #[cfg(feature = "redis")]
    pub(super) part: Option<super::part::Part>,

    /// The partition's membership of a fleet.
    #[cfg(feature = "redis")]
    pub(super) member: Option<Box<crate::shared::Member>>,
}

impl Learned {
    /// Until when something is held back after a refusal.
    pub(super) fn frozen_until(&self) -> u64 {
        self.frozen[0].max(self.frozen[1])
    }

    /// Whether refusals are the reason for how it stands.
    pub(super) fn is_taught(&self) -> bool {
        self.ramp.is_known() || self.room.is_bounded() || self.scale.is_down()
    }

    /// Whether the store grants `cost` now, so that no window is to be asked; `None` if it is held back.
    #[inline]
    pub(super) fn grants(&self, now: u64, in_flight: u32, cost: &Cost) -> Option<bool> {
        let is_over = |at: &u64| *at <= now;
        self.earliest(in_flight, cost).filter(is_over)?;
        #[cfg(feature = "redis")]
        if let Some(member) = &self.member {
            return member.grants(now, cost);
        }
        Some(false)
    }

    /// The earliest time for `cost` as far as refusals tell; `None` while that depends on answers
    /// in flight.
    #[inline]
    pub(super) fn earliest(&self, in_flight: u32, cost: &Cost) -> Option<u64> {
        let at = self.frozen[0].max(self.closed_until);
        let at = if cost.input > 0 || cost.output > 0 {
            at.max(self.frozen[1])
        } else {
            at
        };
        self.room.has(in_flight).then_some(at)
    }
}
