mod admission;
mod costs;
#[cfg(feature = "redis")]
mod fleet;
mod heard;
mod learned;
#[cfg(feature = "redis")]
pub(crate) mod part;

use std::sync::Arc;

use self::learned::Learned;
use crate::bound::Bound;
use crate::control::Control;
use crate::plan::Plan;
use crate::window::Window;
use crate::{Charging, Cost};

/// The arithmetic of one partition: every window of its quota, reserved together or none, and what
/// is learned about it. Knows no clock, no waiters and no lock.
///
/// Times are nanoseconds given by the caller; one that lies before the last counts as the last.
#[derive(Debug)]
pub(crate) struct Core {
    plan: Arc<Plan>,
    windows: Box<[Window]>,
    control: Control,

    /// What else answers have taught, once they have: of many partitions most are asked too seldom.
    learned: Option<Box<Learned>>,

    now: u64,
    in_flight: u32,

    /// How often the quota was changed.
    version: u32,
}

/// What was reserved: taken back, settled, or left to expire.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Reservation {
    pub(crate) at: u64,
    pub(crate) cost: Cost,
    charging: Charging,
    version: u32,

    pub(crate) slot: GrantedAt,
}

/// When the store granted it, in microseconds on the store's clock; 0 if it did not.
#[cfg(feature = "redis")]
pub(crate) type GrantedAt = u64;

/// Without a store there is nothing to remember.
#[cfg(not(feature = "redis"))]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct GrantedAt {}

const SECOND: u64 = 1_000_000_000;

/// How long what refusals taught is kept while nothing is sent, in nanoseconds.
const REMEMBERED: u64 = 3600 * SECOND;

impl Core {
    pub(crate) fn new(now: u64, plan: Arc<Plan>) -> Self {
        let cautious = plan.settings.cautious_start;
        let bounds = plan.bounds.iter();
        Self {
            windows: bounds
                .map(|bound| Window::new(now, 0, bound, cautious))
                .collect(),
            control: Control::new(plan.settings.guard),
            learned: None,
            plan,
            now,
            in_flight: 0,
            version: 0,
        }
    }

    pub(crate) const fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    pub(crate) const fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Nanoseconds that an entry counts beyond its window.
    pub(crate) const fn guard(&self) -> u64 {
        self.control.guard()
    }

    /// Share of the limits taken for ours.
    pub(crate) fn scale(&self) -> f32 {
        self.learned.as_ref().map_or(1.0, |it| it.scale.value())
    }

    /// Until when something is held back after a refusal.
    pub(crate) fn frozen_until(&self) -> u64 {
        self.learned.as_ref().map_or(0, |it| it.frozen_until())
    }

    /// Until when the quota is known to be exhausted.
    pub(crate) fn closed_until(&self) -> u64 {
        self.learned.as_ref().map_or(0, |it| it.closed_until)
    }

    /// Whether anything depends on what an answer used, or on when it ended.
    pub(crate) fn meters(&self) -> bool {
        let bounded = |it: &Learned| it.room.is_bounded();
        self.plan.meters() || self.learned.as_deref().is_some_and(bounded)
    }

    /// Gives everything back: the request was not sent.
    pub(crate) fn refund(&mut self, now: u64, reservation: &Reservation) {
        #[cfg(feature = "redis")]
        if let Some((member, plan)) = self.member_mut() {
            member.give_back(now, reservation, plan);
        }
        self.end(now, reservation, Cost::default());
    }

    /// Ends a request that was sent and used `actual`.
    pub(crate) fn settle(&mut self, now: u64, reservation: &Reservation, actual: Cost) {
        let actual = match reservation.charging {
            Charging::MaxUpFront if actual.input > 0 || actual.output > 0 => Cost {
                output: reservation.cost.output,
                requests: reservation.cost.requests,
                ..actual
            },
            _ => Cost {
                requests: reservation.cost.requests,
                ..actual
            },
        };
        #[cfg(feature = "redis")]
        if let Some((member, plan)) = self.member_mut() {
            member.settle(now, reservation, actual, plan);
        }
        self.end(now, reservation, actual);
    }

    /// Swaps the quota. Windows that stay keep their log: an increase takes effect at once, a cut
    /// becomes debt, and neither makes a burst.
    pub(crate) fn set_plan(&mut self, now: u64, plan: Arc<Plan>) {
        let now = self.clock(now);
        #[cfg(feature = "redis")]
        let share = self.own_share();
        #[cfg(feature = "redis")]
        self.end_part(now);
        self.version = self.version.saturating_add(1);
        let version = self.version;
        let old = std::mem::replace(&mut self.plan, plan);
        let mut kept: Vec<_> = old
            .limits()
            .iter()
            .zip(std::mem::take(&mut self.windows))
            .collect();
        let spaced = self.plan.quota.burst() < 1.0;
        let limits = self.plan.limits().iter().zip(&*self.plan.bounds);
        self.windows = limits
            .map(|(limit, bound)| {
                let same = kept.iter().position(|(old, _)| {
                    old.unit() == limit.unit() && old.window() == limit.window()
                });
                same.map_or_else(
                    || Window::new(now, version, bound, true),
                    |index| {
                        let (old, mut window) = kept.swap_remove(index);
                        if spaced && old.most() < limit.most() {
                            window.empty_bucket(now, bound);
                        }
                        window
                    },
                )
            })
            .collect();
        self.rebound();
        #[cfg(feature = "redis")]
        if let Some(share) = share {
            self.begin_part(now, now, share, &[]);
        }
        #[cfg(feature = "redis")]
        if let Some((member, plan)) = self.member_mut() {
            member.set_quota(plan);
        }
    }

    /// How much of each limit counts at `now`, in the quota's order.
    pub(crate) fn used(&mut self, now: u64) -> Vec<u64> {
        let now = self.clock(now);
        let bounds = bounds(&self.plan, self.learned.as_deref());
        let windows = self.windows.iter_mut().zip(bounds);
        windows
            .map(|(window, bound)| window.used(now, bound))
            .collect()
    }

    /// Whether nothing counts any more.
    pub(crate) fn is_idle(&mut self, now: u64) -> bool {
        let now = self.clock(now);
        let bounds = bounds(&self.plan, self.learned.as_deref());
        let mut windows = self.windows.iter_mut().zip(bounds);
        windows.all(|(window, bound)| window.is_idle(now, bound))
            && self.in_flight == 0
            && self.frozen_until().max(self.closed_until()) <= now
    }

    /// Whether refusals have taught what is worth keeping after the last request: for so long an
    /// upstream is taken to be as it was.
    pub(crate) fn remembers(&self, now: u64) -> bool {
        let Some(learned) = &self.learned else {
            return false;
        };
        let last = self.windows.iter().map(Window::full_at).max();
        let last = last.max(Some(learned.frozen_until()));
        let is_longer = self.control.guard() > self.plan.settings.guard.start();
        (is_longer || learned.is_taught())
            && last.is_some_and(|last| now.saturating_sub(last) < REMEMBERED)
    }

    /// Ends a request, whichever way. Apart, as a window's share of it is.
    #[inline(never)]
    fn end(&mut self, now: u64, reservation: &Reservation, actual: Cost) {
        let now = self.clock(now);
        self.in_flight = self.in_flight.saturating_sub(1);
        let (sent, later) = parts(reservation.cost, reservation.charging);
        let (used, used_later) = parts(actual, reservation.charging);
        let bounds = bounds(&self.plan, self.learned.as_deref());
        for (window, bound) in self.windows.iter_mut().zip(bounds) {
            let unit = bound.unit;
            let knows = window.knows(reservation.version);
            if knows && sent.of(unit) != used.of(unit) {
                window.correct(now, reservation.at, sent.of(unit), used.of(unit), bound);
            }
            if later.of(unit) != 0 || used_later.of(unit) != 0 {
                let held = if knows { later.of(unit) } else { 0 };
                window.release(now, held, used_later.of(unit), bound);
            }
        }
    }

    /// Has the limits stand as they do with what was learned.
    fn rebound(&mut self) {
        let (guard, scale) = (self.control.guard(), self.scale());
        #[cfg(feature = "redis")]
        let scale = scale * self.part();
        let is_start = guard == self.plan.settings.guard.start() && scale >= 1.0;
        if let Some(learned) = self.learned.as_mut().filter(|_| is_start) {
            learned.bounds = None;
        } else if !is_start {
            let bounds = self.plan.bounds(guard, scale);
            self.learned().bounds = Some(bounds);
        }
    }

    fn learned(&mut self) -> &mut Learned {
        self.learned.get_or_insert_default()
    }

    /// The later of `now` and the last time there was: a thread may have read its clock before another
    /// did and get here after it.
    #[inline]
    pub(crate) fn clock(&mut self, now: u64) -> u64 {
        self.now = self.now.max(now);
        self.now
    }
}

/// The limits as they stand: the plan's, until something is learned.
#[inline]
fn bounds<'a>(plan: &'a Plan, learned: Option<&'a Learned>) -> &'a [Bound] {
    let learned = learned.and_then(|it| it.bounds.as_deref());
    learned.unwrap_or(&plan.bounds)
}

/// What is charged when the request is sent, and what when the answer is complete.
#[inline]
pub(crate) fn parts(cost: Cost, charging: Charging) -> (Cost, Cost) {
    match charging {
        Charging::PostPaid => {
            let later = Cost {
                output: cost.output,
                ..Cost::default()
            };
            (Cost { output: 0, ..cost }, later)
        }
        Charging::MaxUpFront | Charging::MaxThenRefund => (cost, Cost::default()),
    }
}
