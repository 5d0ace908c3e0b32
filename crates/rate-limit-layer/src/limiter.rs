use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use throttle_signal::{AccountId, Fingerprint, Headroom, RequestFacts};
use tokio::time::Instant;

use crate::builder::LimiterBuilder;
use crate::clock::Clock;
use crate::estimate::Measure;
use crate::partition::{Asked, Partition};
use crate::plan::Settings;
use crate::plans::Plans;
use crate::registry::Registry;
use crate::snapshot::PartitionSnapshot;
use crate::state::State;
use crate::sweeper::Sweeper;
use crate::wakes::Wakes;
use crate::{Estimate, Quota};

/// The quotas, and what is used of them: a cheap handle, the same for all its clones.
///
/// A quota holds for each *partition*: one account and model. Which it is: the account's own for the
/// model, or else the model's, or else the default. Requests without an account or model share the
/// partition without that name.
///
/// # Example
///
/// ```
/// use rate_limit_layer::{Limiter, Quota, RateLimitLayer};
///
/// let limiter = Limiter::builder()
///     .model("qwen3-max", Quota::new().requests_per_second(10).requests_per_minute(600))
///     .default_quota(Quota::new().requests_per_minute(60))
///     .build();
/// let layer = RateLimitLayer::new(limiter.clone());
///
/// // Later, when the upstream grants more:
/// limiter.set_quota("qwen3-max", Quota::new().requests_per_second(20).requests_per_minute(1200));
/// ```
#[derive(Clone)]
pub struct Limiter {
    shared: Arc<Shared>,
}

struct Shared {
    plans: RwLock<Plans>,
    partitions: Arc<Registry>,
    settings: Arc<Settings>,
    estimate: Arc<dyn Estimate>,

    /// Fixed at the first use rather than when the limiter is built, so that it lies on the clock of
    /// the runtime the limiter is used on.
    clock: OnceLock<Arc<Clock>>,

    #[cfg(feature = "redis")]
    store: Option<crate::shared::SharedStore>,
}

impl Limiter {
    /// Creates a limiter with one quota for each account and model.
    #[must_use]
    pub fn new(quota: Quota) -> Self {
        Self::builder().default_quota(quota).build()
    }

    /// Begins to build a limiter.
    pub fn builder() -> LimiterBuilder {
        LimiterBuilder::new()
    }

    pub(crate) fn from_builder(builder: LimiterBuilder) -> Self {
        let settings = Arc::new(builder.settings);
        let mut plans = Plans::new(Arc::clone(&settings), builder.other);
        for (account, model, quota) in builder.quotas {
            plans.set(account, model, quota);
        }
        let shared = Shared {
            plans: RwLock::new(plans),
            partitions: Arc::new(Registry::new()),
            settings,
            estimate: builder.estimate,
            clock: OnceLock::new(),
            #[cfg(feature = "redis")]
            store: builder.store,
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Changes what each account may use of a model, from now on. An account that has a quota
    /// [of its own](Self::set_account_quota) keeps it.
    ///
    /// An increase takes effect at once, a cut becomes debt that is waited off; neither makes a
    /// burst. What was used in a window that stays still counts.
    pub fn set_quota(&self, model: impl Into<Arc<str>>, quota: Quota) {
        self.shared.set_quota(None, &model.into(), quota);
    }

    /// Changes what one account may use of a model, from now on, as [`set_quota`](Self::set_quota)
    /// does for all.
    pub fn set_account_quota(
        &self,
        account: impl Into<AccountId>,
        model: impl Into<Arc<str>>,
        quota: Quota,
    ) {
        self.shared
            .set_quota(Some(&account.into()), &model.into(), quota);
    }

    /// Holds all requests back until [`resume`](Self::resume): those in flight go on, those that
    /// come wait, or are refused if they cannot.
    pub fn pause(&self) {
        self.set_paused(true);
    }

    /// Lets requests go again.
    pub fn resume(&self) {
        self.set_paused(false);
    }

    /// Forgets partitions of which nothing is in use any more. It also happens by itself, a part at
    /// a time: as requests come, and where there are thousands, in a task of its own. Those that
    /// refusals have taught something are kept for an hour.
    pub fn sweep(&self) {
        if let Some(clock) = self.shared.clock.get() {
            self.shared.partitions.sweep(clock.now());
        }
    }

    /// Shows how it stands with every partition.
    #[must_use]
    pub fn snapshot(&self) -> Vec<PartitionSnapshot> {
        self.shared
            .partitions
            .all()
            .iter()
            .map(|partition| partition.snapshot())
            .collect()
    }

    /// Asks to send a request with these facts; `body` is all of its body, or empty.
    pub(crate) fn ask(&self, now: Instant, facts: &RequestFacts, body: &[u8]) -> Asked {
        let measure = Measure::new(facts, &*self.shared.estimate, body);
        let partition = self.shared.partition(facts.account(), facts.model(), now);
        self.shared.partitions.sweep_due(partition.clock.nanos(now));
        if self.shared.partitions.engage_sweeper() {
            Sweeper::spawn(&self.shared.partitions, &partition.clock);
        }
        partition.ask(now, facts, measure)
    }

    fn set_paused(&self, paused: bool) {
        self.shared.settings.paused.store(paused, Ordering::Relaxed);
        for partition in self.shared.partitions.all() {
            partition.with(State::changed);
        }
    }
}

impl Shared {
    fn partition(
        &self,
        account: Option<&AccountId>,
        model: Option<&Arc<str>>,
        now: Instant,
    ) -> Arc<Partition> {
        let partition = self
            .partitions
            .get_or_insert(account, model.map(|model| &**model), || {
                let clock = self.clock.get_or_init(|| Arc::new(Clock::from(now)));
                let plans = self.plans.read().unwrap_or_else(PoisonError::into_inner);
                Partition::new(
                    account.cloned(),
                    model.map(|model| plans.name(model)),
                    Arc::clone(clock),
                    now,
                    Arc::clone(plans.of(account, model.map(|model| &**model))),
                )
            });
        #[cfg(feature = "redis")]
        if let Some(store) = &self.store {
            partition.join(store.inner());
        }
        partition
    }

    fn set_quota(&self, account: Option<&AccountId>, model: &Arc<str>, quota: Quota) {
        #[cfg(feature = "redis")]
        if self.store.is_some() {
            // Without a partition nobody would tell the other instances.
            self.partition(account, Some(model), Instant::now());
        }
        {
            let mut plans = self.plans.write().unwrap_or_else(PoisonError::into_inner);
            plans.set(account.cloned(), Arc::clone(model), quota);
        }
        // Those made from now on find the new quota by themselves.
        let partitions = self.partitions.all();
        let mut wakes = Wakes::default();
        {
            // Held to the end: were the quota changed again meanwhile, the older could come last.
            let plans = self.plans.read().unwrap_or_else(PoisonError::into_inner);
            let new = plans.of(account, Some(model));
            for partition in partitions {
                let model = partition.model.as_deref();
                if Arc::ptr_eq(plans.of(partition.account.as_ref(), model), new) {
                    partition.collect(&mut wakes, |state, now, wakes| {
                        state.set_plan(now, new, wakes);
                    });
                }
            }
        }
        wakes.wake();
    }
}

impl Headroom for Limiter {
    fn earliest(&self, account: &AccountId, facts: &RequestFacts, now: Instant) -> Option<Instant> {
        let model = facts.model().map(|model| &**model);
        match self.shared.partitions.get(Some(account), model) {
            Some(partition) => partition.earliest(now, &Measure::of_facts(facts)),
            // Nothing was ever sent there.
            None => (!self.shared.settings.is_paused()).then_some(now),
        }
    }

    fn recall(&self, account: &AccountId, key: Option<&Fingerprint>, model: Option<&str>) {
        for partition in self.shared.partitions.all() {
            let is_named = model.is_none() || partition.model.as_deref() == model;
            if partition.account.as_ref() == Some(account) && is_named {
                partition.with(|state, now, wakes| state.recall(now, key, wakes));
            }
        }
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plans = self.shared.plans.read();
        let plans = plans.unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("Limiter")
            .field("models", &plans.models().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
