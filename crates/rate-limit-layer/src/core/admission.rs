//! Whether there is room for a request, when there is, and taking it.

use super::{Core, GrantedAt, Reservation, bounds};
use crate::bound::Bound;
use crate::cost::Costs;
#[cfg(feature = "redis")]
use crate::shared::Member;
use crate::window::Window;
use crate::{Cost, Quota};

impl Core {
    /// The earliest time from `now` at which every window has room, or `None` while that depends
    /// on answers in flight.
    #[inline]
    pub(crate) fn earliest(&mut self, now: u64, cost: &Cost) -> Option<u64> {
        let now = self.clock(now);
        let most = self.plan.quota.max_concurrent();
        if self.plan.settings.is_paused() || most.is_some_and(|most| self.in_flight >= most.get()) {
            return None;
        }
        let mut at = now;
        if let Some(learned) = &self.learned {
            at = at.max(learned.earliest(self.in_flight, cost)?);
            #[cfg(feature = "redis")]
            if let Some(member) = learned.member.as_deref().filter(|it| it.paces()) {
                return Some(at.max(member.earliest(now, cost)?));
            }
        }
        let bounds = bounds(&self.plan, self.learned.as_deref());
        for (window, bound) in self.windows.iter_mut().zip(bounds) {
            at = at.max(window.earliest(now, cost.of(bound.unit), bound)?);
        }
        Some(at)
    }

    /// Takes `cost` of every window, or of none, if not all of them have room now.
    #[allow(
        clippy::inline_always,
        reason = "left to the compiler it depends on how the crate falls into codegen units, and so on its features"
    )]
    #[inline(always)]
    pub(crate) fn admit(&mut self, now: u64, cost: &Cost) -> Option<Reservation> {
        let now = self.clock(now);
        let most = self.plan.quota.max_concurrent();
        if self.plan.settings.is_paused() || most.is_some_and(|most| self.in_flight >= most.get()) {
            return None;
        }
        let granted = match self.learned {
            None => false,
            Some(_) => self.granted(now, cost)?,
        };
        let costs = cost.by_unit();
        let mut times = [0; Quota::MAX_LIMITS];
        let bounds = bounds(&self.plan, self.learned.as_deref());
        let windows = self.windows.iter_mut().zip(bounds);
        for ((window, bound), time) in windows.zip(&mut times) {
            let cost = costs[bound.unit as usize];
            *time = bound.time(cost);
            if !granted && !window.has_room(now, cost, *time, bound) {
                return None;
            }
        }
        take(&mut self.windows, bounds, now, &costs, &times);
        Some(self.reserved(now, cost))
    }

    /// Whether the store grants `cost` now, so that no window is to be asked; `None` if it is held back.
    ///
    /// Apart and cold, so that what nothing was learned about is decided alike whatever the features.
    #[cold]
    #[inline(never)]
    fn granted(&self, now: u64, cost: &Cost) -> Option<bool> {
        let learned = self.learned.as_deref();
        learned.map_or(Some(false), |it| it.grants(now, self.in_flight, cost))
    }

    /// Roughly when `cost` has room behind `ahead`, which waits for the same.
    pub(crate) fn forecast(&mut self, now: u64, ahead: &Cost, cost: &Cost) -> Option<u64> {
        #[cfg(feature = "redis")]
        if self.member().is_some_and(Member::paces) {
            return self.forecast_of_store(now, ahead, cost);
        }
        let first = self.earliest(now, cost)?;
        if ahead.requests == 0 {
            return Some(first);
        }
        let bounds = bounds(&self.plan, self.learned.as_deref());
        let last = self.windows.iter().zip(bounds).map(|(window, bound)| {
            window.forecast(first, ahead.of(bound.unit), cost.of(bound.unit), bound)
        });
        last.max().max(Some(first))
    }

    /// Takes `cost` of every window at `now`, whether there is room or not.
    pub(crate) fn reserve(&mut self, now: u64, cost: Cost) -> Reservation {
        let now = self.clock(now);
        let costs = cost.by_unit();
        let mut times = [0; Quota::MAX_LIMITS];
        let bounds = bounds(&self.plan, self.learned.as_deref());
        for (bound, time) in bounds.iter().zip(&mut times) {
            *time = bound.time(costs[bound.unit as usize]);
        }
        take(&mut self.windows, bounds, now, &costs, &times);
        self.reserved(now, &cost)
    }

    /// The reservation of what was taken of the windows.
    #[allow(clippy::inline_always, reason = "as `admit` is")]
    #[inline(always)]
    fn reserved(&mut self, now: u64, cost: &Cost) -> Reservation {
        self.in_flight = self.in_flight.saturating_add(1);
        Reservation {
            at: now,
            cost: *cost,
            charging: self.plan.quota.charged(),
            version: self.version,
            slot: match self.learned {
                None => GrantedAt::default(),
                Some(_) => self.taken(now, cost),
            },
        }
    }

    /// Has what was learned hear that `cost` was taken: a ramp, if there is one, slows down the buckets, and the store
    /// says when it granted it.
    ///
    /// Apart and cold: were it inlined, the conversions to floats and back would be made for every
    /// request, and thrown away.
    #[cold]
    #[inline(never)]
    fn taken(&mut self, now: u64, cost: &Cost) -> GrantedAt {
        self.slow(now, cost);
        #[cfg(feature = "redis")]
        if self.member().is_some() {
            return self.take_slot(now, cost);
        }
        GrantedAt::default()
    }

    fn slow(&mut self, now: u64, cost: &Cost) {
        let Some(learned) = self.learned.as_mut() else {
            return;
        };
        let pace = learned.ramp.pace(now);
        if pace > 1.0 {
            let bounds = bounds(&self.plan, self.learned.as_deref());
            for (window, bound) in self.windows.iter_mut().zip(bounds) {
                window.slow(cost.of(bound.unit), pace, bound);
            }
        }
    }
}

/// Takes `costs`, which the buckets gain in these times, of every window.
#[allow(clippy::inline_always, reason = "as `admit` is")]
#[inline(always)]
fn take(
    windows: &mut [Window],
    bounds: &[Bound],
    now: u64,
    costs: &Costs,
    times: &[u64; Quota::MAX_LIMITS],
) {
    let of = |index: u8| costs[usize::from(index) % costs.len()];
    for ((window, bound), time) in windows.iter_mut().zip(bounds).zip(times) {
        window.take(now, of(bound.sent), of(bound.later), *time, bound);
    }
}
