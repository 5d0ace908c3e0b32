use std::sync::Arc;
use std::time::Duration;

use throttle_signal::{AccountId, Tenant};

use crate::control::Guard;
use crate::estimate::ByBytes;
use crate::plan::Settings;
use crate::{Estimate, Limiter, Quota, num};

/// Builds a [`Limiter`]; begin with [`Limiter::builder`].
#[derive(Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct LimiterBuilder {
    /// In the order they were set, so that the last holds.
    pub(crate) quotas: Vec<(Option<AccountId>, Arc<str>, Quota)>,
    pub(crate) other: Quota,
    pub(crate) settings: Settings,
    pub(crate) estimate: Arc<dyn Estimate>,
    #[cfg(feature = "redis")]
    pub(crate) store: Option<crate::shared::SharedStore>,
}

impl LimiterBuilder {
    pub(crate) fn new() -> Self {
        Self {
            quotas: Vec::new(),
            other: Quota::new(),
            settings: Settings::default(),
            estimate: Arc::new(ByBytes),
            #[cfg(feature = "redis")]
            store: None,
        }
    }

    /// Sets what each account may use of a model.
    pub fn model(mut self, model: impl Into<Arc<str>>, quota: Quota) -> Self {
        self.quotas.push((None, model.into(), quota));
        self
    }

    /// Sets what one account may use of a model. It goes before what [`model`](Self::model) sets for
    /// each account, whichever is called first.
    ///
    /// # Example
    ///
    /// ```
    /// use rate_limit_layer::{Limiter, Quota};
    ///
    /// let limiter = Limiter::builder()
    ///     .model("qwen3-max", Quota::new().requests_per_minute(60))
    ///     .account_model("paid", "qwen3-max", Quota::new().requests_per_minute(600))
    ///     .build();
    /// ```
    pub fn account_model(
        mut self,
        account: impl Into<AccountId>,
        model: impl Into<Arc<str>>,
        quota: Quota,
    ) -> Self {
        self.quotas
            .push((Some(account.into()), model.into(), quota));
        self
    }

    /// Sets what each account may use of any model that is not named. Without it they pass, and are
    /// watched: a refusal holds them back for a moment.
    pub fn default_quota(self, quota: Quota) -> Self {
        Self {
            other: quota,
            ..self
        }
    }

    /// Fixes the guard: how much longer than its window a request counts.
    ///
    /// Requests leave in order but arrive with jitter; without a guard an exact log earns refusals.
    /// Unless fixed, it begins at 50 ms and follows the refusals the log does not explain, up to a
    /// quarter of the shortest window. It costs the share `guard / window` of the quota.
    ///
    /// It is that of windows up to a second. A longer window can afford to be safe against rarer delays
    /// and keeps a twelfth more with each doubling: half as much again at a minute.
    pub fn guard(mut self, guard: Duration) -> Self {
        self.settings.guard = Guard::Fixed(guard);
        self
    }

    /// Sends everything at once and only watches. For the first week in production: a
    /// [snapshot](Limiter::snapshot) shows what would have been used.
    pub fn observe_only(mut self, observe_only: bool) -> Self {
        self.settings.observe_only = observe_only;
        self
    }

    /// Begins without a burst: the upstream's windows may be full of what an earlier process sent.
    pub fn cautious_start(mut self, cautious_start: bool) -> Self {
        self.settings.cautious_start = cautious_start;
        self
    }

    /// Takes over the limits that the upstream states in its headers, in place of those set here for
    /// the same unit and window; a limit stated without a window is taken for a minute's.
    pub fn adopt_limits(mut self, adopt_limits: bool) -> Self {
        self.settings.adopt_limits = adopt_limits;
        self
    }

    /// Bounds how many requests may wait for one account and model. One more is refused at once.
    pub fn max_waiting(mut self, most: usize) -> Self {
        self.settings.max_waiting = Some(most);
        self
    }

    /// Bounds how long any request waits. One that would wait longer is refused at once.
    pub fn max_wait(mut self, longest: Duration) -> Self {
        self.settings.max_wait = Some(num::nanos(longest));
        self
    }

    /// Gives a tenant this many times the share of others while they wait for the same; from a
    /// thousandth to a thousand, and 1 unless set.
    pub fn tenant_weight(mut self, tenant: impl Into<Tenant>, weight: f32) -> Self {
        self.settings
            .weights
            .insert(tenant.into(), weight.clamp(0.001, 1000.0));
        self
    }

    /// Counts tokens of prompts by `estimate` rather than by their bytes.
    pub fn estimate(self, estimate: impl Estimate + 'static) -> Self {
        Self {
            estimate: Arc::new(estimate),
            ..self
        }
    }

    /// Shares the quotas with all other instances that use the same store. See the module
    /// [`shared`](crate::shared).
    ///
    /// A limit of [concurrency](Quota::concurrent) still holds for this instance alone, and so does the
    /// order of those who wait.
    #[cfg(feature = "redis")]
    #[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
    pub fn shared(self, store: crate::shared::SharedStore) -> Self {
        Self {
            store: Some(store),
            ..self
        }
    }

    /// Builds the limiter. Needs no runtime.
    #[must_use]
    pub fn build(self) -> Limiter {
        Limiter::from_builder(self)
    }
}
