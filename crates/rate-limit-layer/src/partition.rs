mod permit;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use throttle_signal::{AccountId, RequestFacts};
use tokio::time::Instant;

pub(crate) use self::permit::Permit;
use crate::core::Core;
use crate::driver::Driver;
use crate::estimate::Measure;
use crate::plan::Plan;
use crate::refusal::Refusal;
use crate::snapshot::{LimitSnapshot, PartitionSnapshot};
use crate::state::{Admission, Asking, Claim, State};
use crate::wakes::Wakes;
use crate::{Cost, num};

/// What shares a quota: one account and model. Here its lock meets the clock.
pub(crate) struct Partition {
    pub(crate) account: Option<AccountId>,
    pub(crate) model: Option<Arc<str>>,
    epoch: Instant,

    /// How long any request waits at most, in nanoseconds from when it arrived.
    patience: Option<u64>,
    state: Mutex<State>,
}

/// The epoch on a partition's clock, in nanoseconds: far enough from 0 for all that lies before it.
const EPOCH: u64 = 1 << 50;

/// What asking for admission comes to.
#[derive(Debug)]
pub(crate) enum Asked {
    Admitted(Permit),
    Waits(Waiter),
    Refused(Refusal),
}

/// When the driver is to look again.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Look {
    At(Instant),

    /// It depends on an answer in flight; whoever brings that wakes it.
    OnChange,
}

impl Partition {
    pub(crate) fn new(
        account: Option<AccountId>,
        model: Option<Arc<str>>,
        epoch: Instant,
        now: Instant,
        plan: Arc<Plan>,
    ) -> Self {
        Self {
            account,
            model,
            epoch,
            patience: plan.settings.max_wait.map(num::nanos),
            state: Mutex::new(State::new(Core::new(nanos(epoch, now), plan))),
        }
    }

    /// Asks to send a request of this measure.
    pub(crate) fn ask(
        self: Arc<Self>,
        now: Instant,
        facts: &RequestFacts,
        measure: Measure,
    ) -> Asked {
        let mut asking = self.asking(facts, Cost::REQUEST);
        let mut state = self.lock();
        asking.cost = state.core.cost(&measure);
        let admission = state.ask(self.nanos(now), &asking);
        drop(state);
        match admission {
            Admission::Now(reservation) => Asked::Admitted(Permit::new(self, reservation, measure)),
            Admission::Queued(id) => Asked::Waits(Waiter {
                partition: self,
                id: Some(id),
                measure,
            }),
            Admission::TooLate(wait) => {
                Asked::Refused(Refusal::TooLate(wait.map(Duration::from_nanos)))
            }
            Admission::Never(unit) => Asked::Refused(Refusal::TooLarge(unit)),
            Admission::Closed(wait) => {
                Asked::Refused(Refusal::Exhausted(Duration::from_nanos(wait)))
            }
        }
    }

    /// When a request could be sent, as far as is known.
    pub(crate) fn earliest(&self, now: Instant, measure: &Measure) -> Option<Instant> {
        let mut state = self.lock();
        let cost = state.core.cost(measure);
        let at = state.forecast(self.nanos(now), &cost)?;
        Some(self.instant(at).max(now))
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.with(|state, now, _| state.queue.len() == 0 && state.core.is_idle(now))
    }

    pub(crate) fn snapshot(&self) -> PartitionSnapshot {
        self.with(|state, now, _| {
            let used = state.core.used(now);
            let limits = state.core.plan().limits().iter().zip(used);
            let control = state.core.control();
            PartitionSnapshot {
                account: self.account.clone(),
                model: self.model.clone(),
                limits: limits
                    .map(|(limit, used)| LimitSnapshot {
                        limit: *limit,
                        used,
                    })
                    .collect(),
                waiting: state.queue.len(),
                in_flight: state.core.in_flight(),
                guard: Duration::from_nanos(control.guard()),
                scale: f64::from(control.scale()),
                frozen_until: Some(state.core.frozen_until())
                    .filter(|at| *at > now)
                    .map(|at| self.instant(at)),
                earliest: state
                    .forecast(now, &Cost::REQUEST)
                    .map(|at| self.instant(at)),
            }
        })
    }

    /// Does something to the state and then wakes whom that concerns.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut State, u64, &mut Wakes) -> T) -> T {
        let mut wakes = Wakes::default();
        let now = self.nanos(Instant::now());
        let result = act(&mut self.lock(), now, &mut wakes);
        wakes.wake();
        result
    }

    /// Looks after the queue for the driver; `None` when it is to end.
    pub(crate) fn drive(&self, by: &Waker) -> Option<Look> {
        let next = self.with(|state, now, wakes| state.drive(now, by, wakes))?;
        Some(if next == u64::MAX {
            Look::OnChange
        } else {
            Look::At(self.instant(next))
        })
    }

    fn asking<'a>(&self, facts: &'a RequestFacts, cost: Cost) -> Asking<'a> {
        let patience = self
            .patience
            .map(|wait| self.nanos(facts.arrived()).saturating_add(wait));
        Asking {
            cost,
            arrived: self.nanos(facts.arrived()),
            start_by: match (facts.start_by(), patience) {
                (Some(at), Some(most)) => Some(self.nanos(at).min(most)),
                (at, most) => at.map(|at| self.nanos(at)).or(most),
            },
            priority: facts.priority(),
            tenant: facts.tenant(),
        }
    }

    /// A moment on the partition's clock.
    pub(crate) fn nanos(&self, at: Instant) -> u64 {
        nanos(self.epoch, at)
    }

    fn instant(&self, nanos: u64) -> Instant {
        let since = nanos.saturating_sub(EPOCH);
        // A century is far enough, and `Instant` need not reach further.
        self.epoch + Duration::from_nanos(since).min(Duration::from_secs(100 * 365 * 24 * 3600))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Partition")
            .field("account", &self.account)
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

/// One who waits for its turn.
///
/// # Cancel safety
///
/// Dropping it gives up its place.
#[derive(Debug)]
pub(crate) struct Waiter {
    partition: Arc<Partition>,
    id: Option<usize>,
    measure: Measure,
}

impl Waiter {
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Permit, Refusal>> {
        let Some(id) = self.id else {
            return Poll::Pending;
        };
        let claim = self
            .partition
            .with(|state, now, wakes| state.claim(now, id, cx.waker(), wakes));
        match claim {
            Claim::Taken(reservation) => {
                self.id = None;
                Poll::Ready(Ok(Permit::new(
                    Arc::clone(&self.partition),
                    reservation,
                    self.measure,
                )))
            }
            Claim::HandedBack { wait, closed } => {
                self.id = None;
                let wait = Duration::from_nanos(wait);
                Poll::Ready(Err(if closed {
                    Refusal::Exhausted(wait)
                } else {
                    Refusal::TooLate(Some(wait))
                }))
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

impl Drop for Waiter {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.partition
                .with(|state, now, wakes| state.cancel(now, id, wakes));
        }
    }
}

fn nanos(epoch: Instant, at: Instant) -> u64 {
    match at.checked_duration_since(epoch) {
        Some(since) => EPOCH.saturating_add(num::nanos(since)),
        None => EPOCH.saturating_sub(num::nanos(epoch.saturating_duration_since(at))),
    }
}
