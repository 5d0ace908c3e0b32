//! What requests cost, before and after.

use super::{Core, Reservation, SECOND, bounds};
use crate::estimate::Measure;
use crate::usage::Usage;
use crate::{Cost, Unit, num};

impl Core {
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
    #[inline]
    pub(crate) fn never_fits(&self, cost: &Cost) -> Option<Unit> {
        self.plan.never_fits(cost)
    }

    /// The largest part that `cost` is of any limit's rate: what it uses up of the quota.
    pub(crate) fn share(&self, cost: &Cost) -> f64 {
        let bounds = bounds(&self.plan, self.learned.as_deref()).iter();
        let times = bounds.map(|bound| bound.time(cost.of(bound.unit)));
        num::ratio(times.max().unwrap_or(0), SECOND)
    }

    pub(super) fn counts(&self, tokens: bool) -> bool {
        self.plan
            .limits()
            .iter()
            .any(|limit| limit.unit().is_tokens() == tokens)
    }
}
