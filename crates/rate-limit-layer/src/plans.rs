use std::collections::HashMap;
use std::sync::Arc;

use throttle_signal::AccountId;

use crate::Quota;
use crate::plan::{Plan, Settings};

/// The plans of a limiter: what holds for an account and a model, or else for the model, or else for
/// whatever is not named.
#[derive(Debug)]
pub(crate) struct Plans {
    settings: Arc<Settings>,
    models: HashMap<Arc<str>, ForModel>,
    other: Arc<Plan>,
}

/// The plans of one model.
#[derive(Debug, Default)]
struct ForModel {
    any: Option<Arc<Plan>>,
    accounts: HashMap<AccountId, Arc<Plan>>,
}

impl Plans {
    pub(crate) fn new(settings: Arc<Settings>, other: Quota) -> Self {
        Self {
            models: HashMap::new(),
            other: Arc::new(Plan::new(other, Arc::clone(&settings))),
            settings,
        }
    }

    /// The plan for an account and a model.
    pub(crate) fn of(&self, account: Option<&AccountId>, model: Option<&str>) -> &Arc<Plan> {
        let own = || {
            let plans = self.models.get(model?)?;
            account
                .and_then(|account| plans.accounts.get(account))
                .or(plans.any.as_ref())
        };
        own().unwrap_or(&self.other)
    }

    /// A model's name as it is kept here, so that all its partitions can share it.
    pub(crate) fn name(&self, model: &Arc<str>) -> Arc<str> {
        let kept = self.models.get_key_value(model);
        Arc::clone(kept.map_or(model, |(kept, _)| kept))
    }

    /// Sets what one account, or without one each, may use of a model.
    pub(crate) fn set(&mut self, account: Option<AccountId>, model: Arc<str>, quota: Quota) {
        let plans = self.models.entry(model).or_default();
        // What was learned of a model's tokens is true for all its accounts.
        let old = plans
            .any
            .as_ref()
            .or_else(|| plans.accounts.values().next());
        let plan = Arc::new(Plan::following(old, quota, Arc::clone(&self.settings)));
        match account {
            None => plans.any = Some(plan),
            Some(account) => _ = plans.accounts.insert(account, plan),
        }
    }

    /// The models that have plans.
    pub(crate) fn models(&self) -> impl Iterator<Item = &Arc<str>> {
        self.models.keys()
    }
}
