use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::{Partition, Permit};
use crate::driver::Driver;
use crate::estimate::Measure;
use crate::refusal::Refusal;
use crate::state::State;
use crate::turns::{Claim, HandedBack};
use crate::wakes::Wakes;

/// One who waits for its turn, and then for the service below to be ready. It holds nothing of the quota
/// meanwhile; a slot it does not take in time passes on.
///
/// # Cancel safety
///
/// Dropping it gives up its place.
#[derive(Debug)]
pub(crate) struct Waiter {
    partition: Arc<Partition>,
    id: usize,
    stage: Stage,
    measure: Measure,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    InLine,

    /// Its turn has come, and it is to take its slot once the service below is ready.
    Called,

    /// It has no place any more.
    Gone,
}

impl Waiter {
    pub(super) const fn new(partition: Arc<Partition>, id: usize, measure: Measure) -> Self {
        Self {
            partition,
            id,
            stage: Stage::InLine,
            measure,
        }
    }

    /// Ready when its turn has come, or it is not to be sent.
    pub(crate) fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Refusal>> {
        if self.stage == Stage::Called {
            return Poll::Ready(Ok(()));
        }
        let turn = self.poll(cx, State::claim);
        if let Poll::Ready(Ok(())) = turn {
            self.stage = Stage::Called;
        }
        turn
    }

    /// The service below is ready. Pending if the slot is gone: then it is in line again, and is to let
    /// go of that readiness.
    pub(crate) fn poll_take(&mut self, cx: &mut Context<'_>) -> Poll<Result<Permit, Refusal>> {
        let taken = self.poll(cx, State::take);
        self.stage = if taken.is_ready() {
            Stage::Gone
        } else {
            Stage::InLine
        };
        taken.map_ok(|reservation| {
            let mut permit = Permit::new(Arc::clone(&self.partition), reservation, self.measure);
            permit.sent();
            permit
        })
    }

    /// The service below is not ready. Ready when the request is not to be sent any more: it was called
    /// back, or its time is over.
    pub(crate) fn poll_recalled(&mut self, cx: &mut Context<'_>) -> Poll<Refusal> {
        match self.poll(cx, State::hold) {
            Poll::Ready(Err(refusal)) => Poll::Ready(refusal),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
        }
    }

    /// Gives up its place.
    pub(crate) fn give_up(&mut self) {
        if self.stage != Stage::Gone {
            self.stage = Stage::Gone;
            let id = self.id;
            self.partition
                .with(|state, now, wakes| state.cancel(now, id, wakes));
        }
    }

    fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        act: impl FnOnce(&mut State, u64, usize, &Waker, &mut Wakes) -> Claim<T>,
    ) -> Poll<Result<T, Refusal>> {
        if self.stage == Stage::Gone {
            return Poll::Pending;
        }
        let id = self.id;
        let claim = self
            .partition
            .with(|state, now, wakes| act(state, now, id, cx.waker(), wakes));
        match claim {
            Claim::Granted(granted) => Poll::Ready(Ok(granted)),
            Claim::HandedBack(handed_back) => {
                self.stage = Stage::Gone;
                Poll::Ready(Err(handed_back.into()))
            }
            Claim::Pending { drive } => {
                if drive {
                    Driver::spawn(&self.partition);
                }
                Poll::Pending
            }
        }
    }
}

impl From<HandedBack> for Refusal {
    fn from(HandedBack { wait, closed }: HandedBack) -> Self {
        let wait = Duration::from_nanos(wait);
        if closed {
            Self::Exhausted(wait)
        } else {
            Self::TooLate(Some(wait))
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.give_up();
    }
}
