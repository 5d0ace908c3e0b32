use std::sync::Arc;

use http::HeaderMap;
use throttle_signal::Throttle;

use super::Partition;
use crate::core::Reservation;
use crate::estimate::Measure;
use crate::usage::Usage;
use crate::{Cost, headers};

/// The right to send one request now, and the duty to say what it used.
///
/// Dropped before it is [sent](Self::sent), it gives everything back. Dropped later without being
/// settled, the request keeps what was estimated.
#[derive(Debug)]
pub(crate) struct Permit {
    partition: Arc<Partition>,
    reservation: Option<Reservation>,
    measure: Measure,
    sent: bool,
}

impl Permit {
    pub(super) const fn new(
        partition: Arc<Partition>,
        reservation: Reservation,
        measure: Measure,
    ) -> Self {
        Self {
            partition,
            reservation: Some(reservation),
            measure,
            sent: false,
        }
    }

    /// The request is on its way.
    pub(crate) fn sent(&mut self) {
        self.sent = true;
    }

    /// Takes note of what a response says about limits.
    pub(crate) fn told(&self, headers: &HeaderMap) {
        let stated = headers::left(headers);
        if stated.is_empty() {
            return;
        }
        self.partition.with(|state, now, wakes| {
            if let Some(plan) = state.core.plan().adopting(&stated) {
                state.set_plan(now, &plan, wakes);
            }
            for left in &stated {
                state.core.told(now, left);
            }
            state.changed(now, wakes);
        });
    }

    /// An answer that is no refusal began to arrive. Returns the permit if what the answer uses
    /// matters, or when it ends; if not, nothing else is to be done.
    pub(crate) fn answered(mut self) -> Option<Self> {
        let reservation = self.reservation?;
        let meters = self.partition.with(|state, now, wakes| {
            state.core.answered(now, &reservation);
            let meters = state.core.meters();
            if !meters {
                state.settle(now, &reservation, reservation.cost, wakes);
            }
            meters
        });
        if !meters {
            self.reservation = None;
        }
        meters.then_some(self)
    }

    /// The request was refused. Returns whether the partition holds back for it.
    pub(crate) fn refused(self, throttle: &Throttle) -> bool {
        let Some(reservation) = self.reservation else {
            return false;
        };
        let paced = self.partition.with(|state, now, wakes| {
            state.refused(now, &reservation, throttle.kind(), throttle.wait(), wakes)
        });
        self.settle(Cost::default());
        paced
    }

    /// The answer was no success, and nothing is charged for it but the request.
    pub(crate) fn failed(self) {
        self.settle(Cost::default());
    }

    /// The answer reported this usage.
    pub(crate) fn used(self, usage: &Usage) {
        let Some(reservation) = self.reservation else {
            return;
        };
        let measure = self.measure;
        let actual = self
            .partition
            .with(|state, _, _| state.core.actual(&reservation, &measure, usage));
        self.settle(actual);
    }

    fn settle(mut self, actual: Cost) {
        if let Some(reservation) = self.reservation.take() {
            self.partition
                .with(|state, now, wakes| state.settle(now, &reservation, actual, wakes));
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(reservation) = self.reservation.take() {
            self.partition.with(|state, now, wakes| {
                if self.sent {
                    state.settle(now, &reservation, reservation.cost, wakes);
                } else {
                    state.refund(now, &reservation, wakes);
                }
            });
        }
    }
}
