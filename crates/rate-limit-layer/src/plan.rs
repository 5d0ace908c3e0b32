use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use throttle_signal::Tenant;

use crate::bound::Bound;
use crate::control::Guard;
use crate::cost::Costs;
use crate::estimate::Calibration;
use crate::headers::Left;
use crate::{Cost, Limit, Quota, Unit};

/// A quota with everything the limiter adds to it. Shared by all its partitions.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) quota: Quota,
    pub(crate) settings: Arc<Settings>,

    /// What is learned about the model's tokens.
    pub(crate) calibration: Arc<Calibration>,

    /// The limits as they stand before anything is learned.
    pub(crate) bounds: Box<[Bound]>,

    /// The most that any window of a unit takes, by the unit's number.
    largest: Costs,

    shortest: u64,
    longest: u64,
}

/// What holds for every quota of a limiter.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Nothing is sent for now.
    pub(crate) paused: AtomicBool,

    pub(crate) guard: Guard,

    /// Never wait; only watch what would have been.
    pub(crate) observe_only: bool,

    /// Begin without a burst: the upstream's windows may be full.
    pub(crate) cautious_start: bool,

    /// Take over the limits that the upstream states.
    pub(crate) adopt_limits: bool,

    /// How many may wait, and how long, in nanoseconds.
    pub(crate) max_waiting: Option<usize>,
    pub(crate) max_wait: Option<u64>,

    /// What tenants weigh, where it is not 1.
    pub(crate) weights: HashMap<Tenant, f32>,
}

impl Plan {
    pub(crate) fn new(quota: Quota, settings: Arc<Settings>) -> Self {
        let shortest = quota.limits().iter().map(Limit::nanos).min();
        let guard = settings.guard.start();
        let mut plan = Self {
            quota,
            settings,
            calibration: Arc::new(Calibration::new()),
            bounds: Box::default(),
            largest: [u64::MAX; 8],
            shortest: shortest.unwrap_or(60_000_000_000),
            longest: quota.limits().iter().map(Limit::nanos).max().unwrap_or(0),
        };
        plan.bounds = plan.bounds(guard, 1.0);
        for limit in quota.limits() {
            let unit = limit.unit();
            let of_unit = quota.limits().iter().filter(|it| it.unit() == unit);
            plan.largest[unit as usize] = of_unit.map(Limit::most).max().unwrap_or(u64::MAX);
        }
        plan
    }

    /// In what time the quota brings `cost`, in nanoseconds.
    #[cfg(feature = "redis")]
    pub(crate) fn time(&self, cost: &Cost) -> u64 {
        let times = self
            .bounds
            .iter()
            .map(|bound| bound.time(cost.of(bound.unit)));
        times.max().unwrap_or(0)
    }

    /// The plan for another quota of the same model: what was learned of its tokens stays true.
    pub(crate) fn following(
        old: Option<&Arc<Self>>,
        quota: Quota,
        settings: Arc<Settings>,
    ) -> Self {
        let mut plan = Self::new(quota, settings);
        if let Some(old) = old {
            plan.calibration = Arc::clone(&old.calibration);
        }
        plan
    }

    /// The plan with the limits that the upstream states, if they differ and are to be adopted.
    pub(crate) fn adopting(self: &Arc<Self>, stated: &[Left]) -> Option<Arc<Self>> {
        if !self.settings.adopt_limits {
            return None;
        }
        let mut quota = self.quota;
        for left in stated {
            let window = left.window.unwrap_or(Duration::from_secs(60));
            let is_set = quota
                .limits()
                .iter()
                .any(|limit| (limit.unit(), limit.window()) == (left.unit, window));
            if let Some(most) = left
                .limit
                .filter(|_| is_set || quota.limits().len() < Quota::MAX_LIMITS)
            {
                quota = quota.limit(left.unit, most, window);
            }
        }
        (quota != self.quota).then(|| {
            Arc::new(Self::following(
                Some(self),
                quota,
                Arc::clone(&self.settings),
            ))
        })
    }

    /// The limits as they stand with a guard, in nanoseconds, and a scale.
    pub(crate) fn bounds(&self, guard: u64, scale: f32) -> Box<[Bound]> {
        let (charging, burst) = (self.quota.charged(), f64::from(self.quota.burst()));
        let limits = self.limits().iter();
        limits
            .map(|limit| Bound::new(limit, charging, guard, f64::from(scale), burst))
            .collect()
    }

    pub(crate) fn limits(&self) -> &[Limit] {
        self.quota.limits()
    }

    /// Whether anything depends on what an answer used, or on when it ended.
    pub(crate) fn meters(&self) -> bool {
        self.quota.max_concurrent().is_some()
            || self.limits().iter().any(|limit| limit.unit().is_tokens())
    }

    /// Whether `cost` is larger than every window of a unit, so that no wait makes it fit.
    #[inline]
    pub(crate) fn never_fits(&self, cost: &Cost) -> Option<Unit> {
        let cost = cost.by_unit();
        let is_over = |(cost, largest): (&u64, &u64)| cost > largest;
        if !cost.iter().zip(&self.largest).any(is_over) {
            return None;
        }
        let mut units = self.limits().iter().map(Limit::unit);
        units.find(|unit| cost[*unit as usize] > self.largest[*unit as usize])
    }

    /// The shortest window in nanoseconds; a minute without any.
    pub(crate) const fn shortest(&self) -> u64 {
        self.shortest
    }

    /// The longest window in nanoseconds; 0 without any.
    pub(crate) const fn longest(&self) -> u64 {
        self.longest
    }
}

impl Settings {
    /// Whether nothing is sent for now.
    pub(crate) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// What a tenant weighs.
    pub(crate) fn weight(&self, tenant: Option<&Tenant>) -> f64 {
        tenant
            .and_then(|tenant| self.weights.get(tenant))
            .map_or(1.0, |weight| f64::from(*weight))
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            paused: AtomicBool::new(false),
            guard: Guard::Learned,
            observe_only: false,
            cautious_start: false,
            adopt_limits: false,
            max_waiting: None,
            max_wait: None,
            weights: HashMap::new(),
        }
    }
}
