//! A partition at work as a member of a fleet.

use std::sync::Arc;

use super::State;
use crate::plan::Plan;
use crate::shared::{Call, Kind, Reply};
use crate::turns::Turns;
use crate::wakes::Wakes;

impl State {
    /// What is to be asked of the store now, if anything is.
    pub(crate) fn next_store_call(&mut self, now: u64) -> Option<(Kind, Call)> {
        let queue = self.turns.as_deref().map(Turns::queue);
        let next = |member: &mut _, core: &mut _| {
            crate::shared::Member::next_call(member, now, core, queue)
        };
        self.core.with_member(next)?
    }

    /// When something is to be asked, if that is known.
    pub(crate) fn store_call_due(&self, now: u64) -> Option<u64> {
        let queue = self.turns.as_deref().map(Turns::queue);
        self.core.member()?.due(now, &self.core, queue)
    }

    /// The store answered what it was asked at `began`, or did not.
    pub(crate) fn store_answered(
        &mut self,
        now: u64,
        began: u64,
        kind: Kind,
        reply: Option<&Reply>,
        wakes: &mut Wakes,
    ) {
        let quota = self.core.with_member(|member, core| {
            if let Some(reply) = reply {
                return member.answered(now, began, kind, reply, core);
            }
            member.failed(now, began, kind, core);
            None
        });
        if let Some(quota) = quota.flatten() {
            let old = self.core.plan();
            let plan = Plan::following(Some(old), quota, Arc::clone(&old.settings));
            self.core.set_plan(now, Arc::new(plan));
        }
        self.changed(now, wakes);
    }
}
