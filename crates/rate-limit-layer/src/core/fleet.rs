//! What a fleet's members ask of the arithmetic, and it of them.

use std::sync::Arc;

use super::{Core, GrantedAt, bounds};
use crate::plan::Plan;
use crate::shared::{Inner, Member};
use crate::{Cost, num};

impl Core {
    /// Joins the fleet that shares `store`, in which this partition has the number `id`.
    pub(crate) fn join(&mut self, now: u64, store: Arc<Inner>, id: usize) {
        let mut member = Member::new(store, id, &self.plan);
        member.begin(now, self);
        self.learned().member = Some(Box::new(member));
    }

    /// Has the member do something with all the rest.
    pub(crate) fn with_member<T>(
        &mut self,
        act: impl FnOnce(&mut Member, &mut Self) -> T,
    ) -> Option<T> {
        let mut member = self.learned.as_mut()?.member.take()?;
        let result = act(&mut member, self);
        self.learned().member = Some(member);
        Some(result)
    }

    pub(crate) fn member(&self) -> Option<&Member> {
        self.learned.as_ref()?.member.as_deref()
    }

    pub(super) fn member_mut(&mut self) -> Option<(&mut Member, &Plan)> {
        let member = self.learned.as_mut()?.member.as_deref_mut()?;
        Some((member, &self.plan))
    }

    /// Takes the slot that the store granted for `cost`.
    #[cold]
    #[inline(never)]
    pub(super) fn take_slot(&mut self, now: u64, cost: &Cost) -> GrantedAt {
        let member = self.member_mut();
        member.map_or(0, |(member, plan)| member.take(now, *cost, plan))
    }

    /// Roughly when the store has room for `cost` behind `ahead`.
    pub(super) fn forecast_of_store(&self, now: u64, ahead: &Cost, cost: &Cost) -> Option<u64> {
        let (member, learned) = (self.member()?, self.learned.as_deref()?);
        if self.plan.settings.is_paused() {
            return None;
        }
        let first = learned.earliest(self.in_flight, cost)?;
        // Those ahead take turns with those of all others.
        let bounds = bounds(&self.plan, Some(learned)).iter();
        let times = bounds.map(|bound| bound.time(ahead.of(bound.unit)));
        let own = num::float(times.max().unwrap_or(0));
        let behind = num::times(1, own / member.usual_part(now));
        Some(first.max(member.frontier(now).saturating_add(behind)))
    }

    /// In what time the whole quota brings `cost`, in nanoseconds.
    pub(crate) fn time_of(&self, cost: &Cost) -> u64 {
        self.plan.time(cost)
    }

    /// Takes over what all have learned about the guard, in nanoseconds.
    pub(crate) fn set_guard(&mut self, guard: u64) {
        let before = self.control.notch();
        self.control.set(guard, self.plan.shortest());
        if before != self.control.notch() {
            self.rebound();
        }
    }

    /// Until when requests, and those with tokens, are held back.
    pub(crate) fn frozen(&self) -> [u64; 2] {
        self.learned.as_ref().map_or([0; 2], |it| it.frozen)
    }

    /// Holds back what was refused to others.
    pub(crate) fn hold(&mut self, frozen: [u64; 2], closed: u64) {
        if frozen == [0; 2] && closed == 0 {
            return;
        }
        let learned = self.learned();
        learned.frozen = [
            learned.frozen[0].max(frozen[0]),
            learned.frozen[1].max(frozen[1]),
        ];
        learned.closed_until = learned.closed_until.max(closed);
    }

    /// By how much the ramp slows down what is sent now; 1 for not at all.
    pub(crate) fn slowdown(&mut self, now: u64) -> f64 {
        let learned = self.learned.as_mut();
        learned.map_or(1.0, |it| it.ramp.pace(now))
    }

    /// What was sent within each window, and when, in the quota's order.
    pub(crate) fn sent(&mut self, now: u64) -> Vec<Vec<(u64, u64)>> {
        let now = self.clock(now);
        let mut sent: Vec<Vec<_>> = (0..self.windows.len())
            .map(|index| self.before(index, now).collect())
            .collect();
        let since = self.part_since();
        let bounds = bounds(&self.plan, self.learned.as_deref());
        for ((window, bound), sent) in self.windows.iter_mut().zip(bounds).zip(&mut sent) {
            let later = window.sent(now, bound).into_iter();
            sent.extend(later.filter(|(at, _)| *at >= since));
        }
        sent
    }

    /// Whether anything was sent within the windows.
    pub(crate) fn sent_lately(&self, now: u64) -> bool {
        let bounds = bounds(&self.plan, self.learned.as_deref());
        let mut windows = self.windows.iter().zip(bounds).enumerate();
        windows.any(|(index, (window, bound))| {
            let last = window.last();
            last.is_some_and(|last| last.saturating_add(bound.span) > now)
                || self.before(index, now).next().is_some()
        })
    }
}
