use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use throttle_signal::{AccountId, Headroom, RequestFacts};
use tokio::time::Instant;

use crate::builder::LimiterBuilder;
use crate::estimate::Measure;
use crate::partition::{Asked, Partition};
use crate::plan::{Plan, Settings};
use crate::registry::Registry;
use crate::snapshot::PartitionSnapshot;
use crate::{Estimate, Quota};

/// The quotas, and what is used of them: a cheap handle, the same for all its clones.
///
/// A quota holds for each *partition*: one account and model. Requests without an account or model
/// share the partition without that name.
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
    partitions: Registry,
    settings: Arc<Settings>,
    estimate: Arc<dyn Estimate>,

    /// Where the limiter's clock begins. Fixed at the first use rather than when it is built, so
    /// that it lies on the clock of the runtime it is used on.
    epoch: OnceLock<Instant>,
}

#[derive(Debug)]
struct Plans {
    named: HashMap<Arc<str>, Arc<Plan>>,
    other: Arc<Plan>,
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
        let plan = |quota| Arc::new(Plan::new(quota, Arc::clone(&settings)));
        let plans = Plans {
            named: builder
                .models
                .into_iter()
                .map(|(model, quota)| (model, plan(quota)))
                .collect(),
            other: plan(builder.other),
        };
        let shared = Shared {
            plans: RwLock::new(plans),
            partitions: Registry::new(),
            settings,
            estimate: builder.estimate,
            epoch: OnceLock::new(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Changes what each account may use of a model, from now on.
    ///
    /// An increase takes effect at once, a cut becomes debt that is waited off; neither makes a
    /// burst. What was used in a window that stays still counts.
    pub fn set_quota(&self, model: impl Into<Arc<str>>, quota: Quota) {
        let model = model.into();
        let plan = {
            let mut plans = self
                .shared
                .plans
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            let old = plans.named.get(&model);
            let plan = Arc::new(Plan::following(
                old,
                quota,
                Arc::clone(&self.shared.settings),
            ));
            plans.named.insert(Arc::clone(&model), Arc::clone(&plan));
            plan
        };
        for partition in self.shared.partitions.all() {
            if partition.model.as_deref() == Some(&*model) {
                partition.with(|state, now, wakes| {
                    state.core.set_plan(now, Arc::clone(&plan));
                    state.changed(now, wakes);
                });
            }
        }
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
    /// a time, as requests come.
    pub fn sweep(&self) {
        self.shared.partitions.sweep();
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
        let partition = self.shared.partition(facts, now);
        self.shared.partitions.sweep_due(partition.nanos(now));
        partition.ask(now, facts, measure)
    }

    fn set_paused(&self, paused: bool) {
        {
            let mut plans = self
                .shared
                .plans
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            let plans = &mut *plans;
            for plan in plans.named.values_mut().chain([&mut plans.other]) {
                Arc::make_mut(plan).paused = paused;
            }
        }
        for partition in self.shared.partitions.all() {
            partition.with(|state, now, wakes| state.set_paused(now, paused, wakes));
        }
    }
}

impl Shared {
    fn partition(&self, facts: &RequestFacts, now: Instant) -> Arc<Partition> {
        let epoch = *self.epoch.get_or_init(|| now);
        let (account, model) = (facts.account(), facts.model());
        self.partitions
            .get_or_insert(account, model.map(|model| &**model), || {
                let plans = self.plans.read().unwrap_or_else(PoisonError::into_inner);
                let plan = model
                    .and_then(|model| plans.named.get(model))
                    .unwrap_or(&plans.other);
                Partition::new(
                    account.cloned(),
                    model.cloned(),
                    epoch,
                    now,
                    Arc::clone(plan),
                )
            })
    }
}

impl Headroom for Limiter {
    fn earliest(&self, account: &AccountId, facts: &RequestFacts, now: Instant) -> Option<Instant> {
        let model = facts.model().map(|model| &**model);
        match self.shared.partitions.get(Some(account), model) {
            Some(partition) => partition.earliest(now, &Measure::of_facts(facts)),
            // Nothing was ever sent there.
            None => Some(now),
        }
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plans = self
            .shared
            .plans
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("Limiter")
            .field("models", &plans.named.keys())
            .finish_non_exhaustive()
    }
}
