mod heard;

use std::sync::Arc;

use crate::bound::Bound;
use crate::control::Control;
use crate::estimate::Measure;
use crate::plan::Plan;
use crate::ramp::Ramp;
use crate::room::Room;
use crate::usage::Usage;
use crate::window::Window;
use crate::{Charging, Cost, Limit, Unit, num};

/// The arithmetic of one partition: every window of its quota, reserved together or none, and what
/// is learned about it. Knows no clock, no waiters and no lock.
///
/// Times are nanoseconds given by the caller; one that lies before the last counts as the last.
#[derive(Debug)]
pub(crate) struct Core {
    plan: Arc<Plan>,
    windows: Box<[Window]>,

    /// The limits as they stand, in the plan's order. Shared with the plan until something is
    /// learned.
    bounds: Arc<[Bound]>,

    control: Control,
    ramp: Ramp,
    now: u64,

    /// Until when requests, and those with tokens, are held back after a refusal.
    frozen: [u64; 2],

    /// Until when the quota is known to be exhausted.
    closed_until: u64,

    in_flight: usize,

    /// How often the quota was changed.
    version: u32,

    room: Room,

    /// Refusals in a row, counting those of one moment once.
    streak: u8,
}

/// What was reserved: taken back, settled, or left to expire.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Reservation {
    pub(crate) at: u64,
    pub(crate) cost: Cost,
    charging: Charging,
    version: u32,
}

const SECOND: u64 = 1_000_000_000;

impl Core {
    pub(crate) fn new(now: u64, plan: Arc<Plan>) -> Self {
        Self {
            windows: plan
                .bounds
                .iter()
                .map(|bound| Window::new(now, 0, bound, plan.settings.cautious_start))
                .collect(),
            bounds: Arc::clone(&plan.bounds),
            control: Control::new(plan.settings.guard),
            ramp: Ramp::default(),
            plan,
            now,
            frozen: [0; 2],
            closed_until: 0,
            in_flight: 0,
            version: 0,
            room: Room::default(),
            streak: 0,
        }
    }

    pub(crate) fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    pub(crate) const fn control(&self) -> &Control {
        &self.control
    }

    pub(crate) const fn in_flight(&self) -> usize {
        self.in_flight
    }

    pub(crate) fn frozen_until(&self) -> u64 {
        self.frozen[0].max(self.frozen[1])
    }

    pub(crate) const fn closed_until(&self) -> u64 {
        self.closed_until
    }

    /// Whether anything depends on what an answer used, or on when it ended.
    pub(crate) fn meters(&self) -> bool {
        self.room.is_bounded() || self.plan.meters()
    }

    /// What a request is taken to cost.
    pub(crate) fn cost(&self, measure: &Measure) -> Cost {
        if self.counts(true) {
            let cost = self
                .plan
                .calibration
                .cost(measure, self.plan.quota.charged());
            Cost {
                output: self.plan.quota.weigh_output(cost.output),
                ..cost
            }
        } else {
            Cost::REQUEST
        }
    }

    /// What a request cost whose answer reported `usage`; what that leaves out was as estimated.
    pub(crate) fn actual(
        &self,
        reservation: &Reservation,
        measure: &Measure,
        usage: &Usage,
    ) -> Cost {
        self.plan.calibration.learn(measure, usage);
        let quota = &self.plan.quota;
        Cost {
            input: usage.input.map_or(reservation.cost.input, |input| {
                quota.weigh_input(input, usage.cached.unwrap_or_default())
            }),
            output: usage
                .output
                .map_or(reservation.cost.output, |output| quota.weigh_output(output)),
            ..reservation.cost
        }
    }

    /// Whether `cost` is larger than every window of a unit, so that no wait makes it fit.
    pub(crate) fn never_fits(&self, cost: &Cost) -> Option<Unit> {
        let limits = self.plan.limits();
        let over = |unit: Unit| {
            let mut of_unit = limits
                .iter()
                .filter(|limit| limit.unit() == unit)
                .peekable();
            of_unit.peek().is_some() && of_unit.all(|limit| limit.most() < cost.of(unit))
        };
        limits.iter().map(Limit::unit).find(|unit| over(*unit))
    }

    /// The earliest time from `now` at which every window has room, or `None` while that depends
    /// on answers in flight.
    #[inline]
    pub(crate) fn earliest(&mut self, now: u64, cost: &Cost) -> Option<u64> {
        let now = self.clock(now);
        let mut at = now.max(self.frozen[0]).max(self.closed_until);
        if cost.input > 0 || cost.output > 0 {
            at = at.max(self.frozen[1]);
        }
        if !self
            .room
            .has(self.in_flight, self.plan.quota.max_concurrent())
        {
            return None;
        }
        for (window, bound) in self.windows.iter_mut().zip(&*self.bounds) {
            at = at.max(window.earliest(now, cost.of(bound.unit), bound)?);
        }
        Some(at)
    }

    /// Roughly when `cost` has room behind `ahead`, which waits for the same.
    pub(crate) fn forecast(&mut self, now: u64, ahead: &Cost, cost: &Cost) -> Option<u64> {
        let first = self.earliest(now, cost)?;
        if ahead.requests == 0 {
            return Some(first);
        }
        let windows = self.windows.iter().zip(&*self.bounds);
        let last = windows.map(|(window, bound)| {
            window.forecast(first, ahead.of(bound.unit), cost.of(bound.unit), bound)
        });
        last.max().max(Some(first))
    }

    /// The largest part that `cost` is of any limit's rate: what it uses up of the quota.
    pub(crate) fn share(&self, cost: &Cost) -> f64 {
        let times = self
            .bounds
            .iter()
            .map(|bound| bound.time(cost.of(bound.unit)));
        num::ratio(times.max().unwrap_or(0), SECOND)
    }

    /// Takes `cost` of every window at `now`, whether there is room or not.
    #[inline]
    pub(crate) fn reserve(&mut self, now: u64, cost: Cost) -> Reservation {
        let now = self.clock(now);
        self.in_flight = self.in_flight.saturating_add(1);
        let charging = self.plan.quota.charged();
        let (sent, later) = parts(cost, charging);
        let pace = self.ramp.pace(now);
        for (window, bound) in self.windows.iter_mut().zip(&*self.bounds) {
            window.take(now, sent.of(bound.unit), later.of(bound.unit), pace, bound);
        }
        Reservation {
            at: now,
            cost,
            charging,
            version: self.version,
        }
    }

    /// Gives everything back: the request was not sent.
    pub(crate) fn refund(&mut self, now: u64, reservation: &Reservation) {
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
        self.end(now, reservation, actual);
    }

    /// Swaps the quota. Windows that stay keep their log: an increase takes effect at once, a cut
    /// becomes debt, and neither makes a burst.
    pub(crate) fn set_plan(&mut self, now: u64, plan: Arc<Plan>) {
        let now = self.clock(now);
        self.version = self.version.saturating_add(1);
        let version = self.version;
        let old = std::mem::replace(&mut self.plan, plan);
        let mut kept: Vec<_> = old
            .limits()
            .iter()
            .zip(std::mem::take(&mut self.windows))
            .collect();
        let limits = self.plan.limits().iter().zip(&*self.plan.bounds);
        self.windows = limits
            .map(|(limit, bound)| {
                let same = kept.iter().position(|(old, _)| {
                    old.unit() == limit.unit() && old.window() == limit.window()
                });
                same.map_or_else(
                    || Window::new(now, version, bound, true),
                    |index| kept.swap_remove(index).1,
                )
            })
            .collect();
        if old.settings.guard != self.plan.settings.guard {
            self.control = Control::new(self.plan.settings.guard);
        }
        self.bounds = self.plan.bounds(&self.control);
    }

    /// How much of each limit counts at `now`, in the quota's order.
    pub(crate) fn used(&mut self, now: u64) -> Vec<u64> {
        let now = self.clock(now);
        let windows = self.windows.iter_mut().zip(&*self.bounds);
        windows
            .map(|(window, bound)| window.used(now, bound))
            .collect()
    }

    /// Whether forgetting it would change nothing.
    pub(crate) fn is_idle(&mut self, now: u64) -> bool {
        let now = self.clock(now);
        self.in_flight == 0
            && self.frozen_until().max(self.closed_until) <= now
            && self
                .windows
                .iter_mut()
                .zip(&*self.bounds)
                .all(|(window, bound)| window.is_idle(now, bound))
    }

    fn end(&mut self, now: u64, reservation: &Reservation, actual: Cost) {
        let now = self.clock(now);
        self.in_flight = self.in_flight.saturating_sub(1);
        let (sent, later) = parts(reservation.cost, reservation.charging);
        let (used, used_later) = parts(actual, reservation.charging);
        for (window, bound) in self.windows.iter_mut().zip(&*self.bounds) {
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

    fn counts(&self, tokens: bool) -> bool {
        self.plan
            .limits()
            .iter()
            .any(|limit| limit.unit().is_tokens() == tokens)
    }

    #[inline]
    fn clock(&mut self, now: u64) -> u64 {
        self.now = self.now.max(now);
        self.now
    }
}

/// What is charged when the request is sent, and what when the answer is complete.
#[inline]
fn parts(cost: Cost, charging: Charging) -> (Cost, Cost) {
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
