#[cfg(feature = "redis")]
mod fleet;
mod permit;
mod waiter;

use std::fmt;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use throttle_signal::{AccountId, RequestFacts};
use tokio::time::Instant;

#[cfg(feature = "redis")]
pub(crate) use self::fleet::store_key;
pub(crate) use self::permit::Permit;
pub(crate) use self::waiter::Waiter;
use crate::Cost;
use crate::clock::Clock;
use crate::core::Core;
use crate::estimate::Measure;
use crate::plan::Plan;
use crate::refusal::Refusal;
use crate::snapshot::{LimitSnapshot, PartitionSnapshot};
use crate::state::{Admission, Asking, State};
use crate::sync::Lock;
use crate::wakes::Wakes;

/// What shares a quota: one account and model. Here its lock meets the clock.
pub(crate) struct Partition {
    pub(crate) account: Option<AccountId>,
    pub(crate) model: Option<Arc<str>>,
    pub(crate) clock: Arc<Clock>,
    state: Lock<State>,

    /// Whether it has joined the fleet, where there is one.
    #[cfg(feature = "redis")]
    joined: std::sync::OnceLock<()>,
}

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
        clock: Arc<Clock>,
        now: Instant,
        plan: Arc<Plan>,
    ) -> Self {
        let state = State::new(Core::new(clock.nanos(now), plan));
        Self {
            account,
            model,
            clock,
            state: Lock::new(state),
            #[cfg(feature = "redis")]
            joined: std::sync::OnceLock::new(),
        }
    }

    /// Whether it is the partition of these names.
    pub(crate) fn is_of(&self, account: Option<&AccountId>, model: Option<&str>) -> bool {
        self.account.as_ref() == account && self.model.as_deref() == model
    }

    /// Asks to send a request of this measure.
    pub(crate) fn ask(
        self: Arc<Self>,
        now: Instant,
        facts: &RequestFacts,
        measure: Measure,
    ) -> Asked {
        let mut asking = self.asking(facts, Cost::REQUEST);
        let mut state = self.state.lock();
        let now = state.core.clock(self.clock.nanos(now));
        asking.cost = state.core.cost(&measure);
        let admission = state.ask(now, &asking);
        drop(state);
        match admission {
            Admission::Now(reservation) => Asked::Admitted(Permit::new(self, reservation, measure)),
            Admission::Queued(id) => Asked::Waits(Waiter::new(self, id, measure)),
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
        let mut state = self.state.lock();
        let cost = state.core.cost(measure);
        let at = state.core.clock(self.clock.nanos(now));
        let at = state.forecast(at, &cost)?;
        Some(self.clock.instant(at).max(now))
    }

    /// Whether forgetting it at `now` would change nothing.
    pub(crate) fn is_idle(&self, now: u64) -> bool {
        self.state.lock().is_idle(now)
    }

    pub(crate) fn snapshot(&self) -> PartitionSnapshot {
        self.with(|state, now, _| {
            let used = state.core.used(now);
            let limits = state.core.plan().limits().iter().zip(used);
            PartitionSnapshot {
                account: self.account.clone(),
                model: self.model.clone(),
                limits: limits
                    .map(|(limit, used)| LimitSnapshot {
                        limit: *limit,
                        used,
                    })
                    .collect(),
                waiting: state.waiting(),
                in_flight: usize::try_from(state.core.in_flight()).unwrap_or(usize::MAX),
                guard: Duration::from_nanos(state.core.guard()),
                scale: f64::from(state.core.scale()),
                frozen_until: Some(state.core.frozen_until())
                    .filter(|at| *at > now)
                    .map(|at| self.clock.instant(at)),
                earliest: state
                    .forecast(now, &Cost::REQUEST)
                    .map(|at| self.clock.instant(at)),
            }
        })
    }

    /// Does something to the state and then wakes whom that concerns.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut State, u64, &mut Wakes) -> T) -> T {
        let mut wakes = Wakes::default();
        let result = self.collect(&mut wakes, act);
        wakes.wake();
        result
    }

    /// Does something to the state, and leaves it to the caller to wake whom that concerns.
    pub(crate) fn collect<T>(
        &self,
        wakes: &mut Wakes,
        act: impl FnOnce(&mut State, u64, &mut Wakes) -> T,
    ) -> T {
        let now = self.clock.now();
        let mut state = self.state.lock();
        let now = state.core.clock(now);
        act(&mut state, now, wakes)
    }

    /// Looks after the queue for the driver; `None` when it is to end.
    pub(crate) fn drive(&self, by: &Waker) -> Option<Look> {
        let next = self.with(|state, now, wakes| state.drive(now, by, wakes))?;
        Some(if next == u64::MAX {
            Look::OnChange
        } else {
            Look::At(self.clock.instant(next))
        })
    }

    fn asking<'a>(&self, facts: &'a RequestFacts, cost: Cost) -> Asking<'a> {
        Asking {
            cost,
            arrived: self.clock.nanos(facts.arrived()),
            start_by: facts.start_by().map(|at| self.clock.nanos(at)),
            priority: facts.priority(),
            tenant: facts.tenant(),
            key: facts.key(),
        }
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
