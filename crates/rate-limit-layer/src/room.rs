use std::num::NonZeroU32;

/// How many requests may be in flight at once, as far as the upstream's refusals tell: one less than
/// were when it refused, and one more each time as many were answered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Room {
    learned: Option<NonZeroU32>,
    answered: u32,
}

impl Room {
    /// Whether one more has room beside those in flight.
    #[inline]
    pub(crate) fn has(self, in_flight: u32) -> bool {
        self.learned.is_none_or(|most| in_flight < most.get())
    }

    /// Whether anything was learned.
    pub(crate) const fn is_bounded(self) -> bool {
        self.learned.is_some()
    }

    /// One was refused for being one too many of those in flight.
    pub(crate) fn refused(&mut self, in_flight: u32) {
        let most = NonZeroU32::new(in_flight.saturating_sub(1)).unwrap_or(NonZeroU32::MIN);
        self.learned = Some(self.learned.map_or(most, |learned| learned.min(most)));
        self.answered = 0;
    }

    pub(crate) fn answered(&mut self) {
        let Some(learned) = self.learned else { return };
        self.answered += 1;
        if self.answered >= learned.get() {
            self.learned = Some(learned.saturating_add(1));
            self.answered = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_falls_below_what_was_refused_and_grows_with_what_is_answered() {
        let mut room = Room::default();
        assert!(room.has(1000));
        room.refused(5);
        assert!(room.has(3) && !room.has(4));
        (0..4).for_each(|_| room.answered());
        assert!(room.has(4) && !room.has(5));
    }

    #[test]
    fn one_always_has_room() {
        let mut room = Room::default();
        room.refused(0);
        room.refused(1);
        assert!(room.has(0));
    }
}
