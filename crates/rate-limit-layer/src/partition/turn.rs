use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use throttle_signal::RequestFacts;
use tokio::time::Instant;

use super::{Partition, Permit, Waiter};
use crate::core::Reservation;
use crate::estimate::Measure;
use crate::refusal::Refusal;
use crate::state::Going;
use crate::sync::{Sleep, sleep_until};

/// One whose turn has come, with its share of the quota, until the service below is ready to send it.
/// That may take a while: it can still be called back, and does not wait for longer than it may.
///
/// # Cancel safety
///
/// Dropping it gives everything back.
pub(crate) struct Turn {
    partition: Arc<Partition>,
    called: usize,
    reservation: Option<Reservation>,
    measure: Measure,
    // The end of its time, once it has waited for the service below.
    end: Option<Pin<Box<Sleep>>>,
}

/// What comes of a turn when the service below is ready.
#[derive(Debug)]
pub(crate) enum Go {
    Sent(Permit),
    /// The slot is gone.
    Waits(Waiter),
    Refused(Refusal),
}

impl Turn {
    pub(super) const fn new(
        partition: Arc<Partition>,
        called: usize,
        reservation: Reservation,
        measure: Measure,
    ) -> Self {
        Self {
            partition,
            called,
            reservation: Some(reservation),
            measure,
            end: None,
        }
    }

    /// The service below is ready.
    pub(crate) fn go(&mut self, facts: &RequestFacts) -> Go {
        let Some(mut reservation) = self.reservation.take() else {
            return Go::Refused(Refusal::TooLate(None)); // never: a turn comes once
        };
        let called = self.called;
        let asking = self.partition.asking(facts, reservation.cost);
        let going = self
            .partition
            .with(|state, now, wakes| state.go(now, called, &mut reservation, &asking, wakes));
        let partition = Arc::clone(&self.partition);
        match going {
            Going::Sent => {
                let mut permit = Permit::new(partition, reservation, self.measure);
                permit.sent();
                Go::Sent(permit)
            }
            Going::Waits(id) => Go::Waits(Waiter {
                partition,
                id: Some(id),
                measure: self.measure,
            }),
            Going::HandedBack(handed_back) => Go::Refused(handed_back.into()),
        }
    }

    /// Gives everything back, if it is not sent.
    pub(crate) fn give_up(&mut self) {
        if let Some(reservation) = self.reservation.take() {
            let called = self.called;
            self.partition
                .with(|state, now, wakes| state.give_up(now, called, &reservation, wakes));
        }
    }

    /// The service below is not ready. Ready when the request is not to be sent any more: it was called
    /// back, or may not wait past `start_by`.
    pub(crate) fn poll_recalled(
        &mut self,
        start_by: Option<Instant>,
        cx: &mut Context<'_>,
    ) -> Poll<Refusal> {
        let end = match (&mut self.end, start_by) {
            (Some(end), _) => Some(end),
            (none, Some(at)) => Some(none.insert(Box::pin(sleep_until(at)))),
            (None, None) => None,
        };
        let late = end.is_some_and(|end| end.as_mut().poll(cx).is_ready());
        let Some(reservation) = self.reservation else {
            return Poll::Pending; // never: a turn ends once
        };
        let called = self.called;
        let handed_back = self.partition.with(|state, now, wakes| {
            state.hold(now, called, late, &reservation, cx.waker(), wakes)
        });
        let Some(handed_back) = handed_back else {
            return Poll::Pending;
        };
        self.reservation = None;
        Poll::Ready(handed_back.into())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn")
            .field("reservation", &self.reservation)
            .finish_non_exhaustive()
    }
}
