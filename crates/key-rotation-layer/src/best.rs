use std::sync::Arc;

use tokio::time::Instant;

use crate::member::Member;
use crate::rank::Rank;

/// The best account so far, and the slot of the best other.
#[derive(Default)]
pub(crate) struct Best<'a> {
    pub(crate) chosen: Option<(Rank, Option<Instant>, usize, &'a Arc<Member>)>,
    pub(crate) other: Option<Instant>,
}

impl<'a> Best<'a> {
    pub(crate) fn offer(
        &mut self,
        rank: Rank,
        slot: Option<Instant>,
        index: usize,
        member: &'a Arc<Member>,
    ) {
        let beaten = match &self.chosen {
            Some((best, ..)) if *best <= rank => slot,
            Some((_, best_slot, ..)) => {
                let beaten = *best_slot;
                self.chosen = Some((rank, slot, index, member));
                beaten
            }
            None => {
                self.chosen = Some((rank, slot, index, member));
                return;
            }
        };
        self.beat(beaten);
    }

    pub(crate) fn beat(&mut self, slot: Option<Instant>) {
        if let Some(slot) = slot {
            self.other = Some(self.other.map_or(slot, |other| other.min(slot)));
        }
    }
}
