use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Bounds how much load retries may add. Shared by all clones of a layer, and by layers if wanted.
///
/// For a refusal the budget only delays: the upstream did no work, and the caller still wants the
/// answer. After a failure it stops: a request that failed somewhere may have cost as much as one
/// that was answered. What is withdrawn for a retry that is then answered comes back.
///
/// Implementations must be quick and must not wait.
pub trait Budget: fmt::Debug + Send + Sync {
    /// Notes that a request is sent for the first time.
    fn deposit(&self);

    /// Takes `cost` out, or what is to come in later; see [`due`](Self::due).
    fn withdraw(&self, cost: f64, now: Instant) -> Claim;

    /// When a claim is covered, as far as can be foreseen: not after `now` if it is, `None` if
    /// nothing foreseeable covers it. The answer may become earlier, never later.
    fn due(&self, claim: &Claim, now: Instant) -> Option<Instant>;

    /// Puts back what a claim took: it was not used, or what it paid for was answered.
    fn refund(&self, claim: Claim);
}

/// What was withdrawn for one retry. Its place in the line of claims.
#[derive(Debug)]
#[must_use = "a claim is used up or refunded"]
pub struct Claim {
    cost: f64,
    covered_by: f64,
}

impl Claim {
    /// Creates a claim for a [`Budget`] of your own. `covered_by` is what its credits must come to.
    pub const fn new(cost: f64, covered_by: f64) -> Self {
        Self { cost, covered_by }
    }

    /// What was taken.
    #[must_use]
    pub const fn cost(&self) -> f64 {
        self.cost
    }

    /// What the budget's credits must come to.
    #[must_use]
    pub const fn covered_by(&self) -> f64 {
        self.covered_by
    }
}

/// Budget that earns a part of a retry with each request, and some each second.
///
/// While nothing is answered, retries costing 1 or more send at most `ratio` times as often as
/// there are requests, plus `floor` a second: the upstream sees no more than `1 + ratio +
/// floor/load` sends a request. A retry that is answered is free, so that work waiting behind a limit
/// drains as fast as the limit lets it.
///
/// A fresh budget is empty. At most the larger of `floor` and 2 is saved up.
///
/// # Example
///
/// ```
/// use std::sync::Arc;
///
/// use retry_429_layer::{Retry429Layer, TokenBudget};
///
/// let budget = Arc::new(TokenBudget::new(0.1, 2.0));
/// let layer = Retry429Layer::new().budget(budget);
/// # let _ = layer;
/// ```
pub struct TokenBudget {
    ratio: f64,
    floor: f64,
    // Requests since the ledger was last looked at. Most are answered, and nobody looks.
    requests: AtomicU64,
    ledger: Mutex<Ledger>,
}

/// Both sides only grow, so a claim's place in the line is a number.
#[derive(Debug)]
struct Ledger {
    credits: f64,
    claimed: f64,
    // Up to when `floor` has been credited.
    until: Instant,
}

impl TokenBudget {
    /// Creates a budget that earns `ratio` with each request and `floor` each second.
    ///
    /// It earns from now on. Negative numbers, and what is no number, are taken as 0.
    #[must_use]
    pub fn new(ratio: f64, floor: f64) -> Self {
        Self {
            ratio: ratio.max(0.0),
            floor: floor.max(0.0),
            requests: AtomicU64::new(0),
            ledger: Mutex::new(Ledger {
                credits: 0.0,
                claimed: 0.0,
                until: Instant::now(),
            }),
        }
    }

    /// The ledger, with what requests have earned.
    fn lock(&self) -> MutexGuard<'_, Ledger> {
        // Every state between two assignments is a valid ledger.
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let requests = self.requests.swap(0, Ordering::Relaxed);
        #[allow(clippy::cast_precision_loss, reason = "beyond the cap nothing counts")]
        ledger.credit(requests as f64 * self.ratio, self.cap());
        ledger
    }

    /// The most that is saved up.
    fn cap(&self) -> f64 {
        self.floor.max(2.0)
    }
}

impl Ledger {
    fn credit(&mut self, amount: f64, cap: f64) {
        self.credits = (self.credits + amount).min(self.claimed + cap);
    }

    /// Credits what was earned by time, in one step whatever time has passed.
    fn catch_up(&mut self, now: Instant, floor: f64, cap: f64) {
        let seconds = now.saturating_duration_since(self.until).as_secs_f64();
        self.until = self.until.max(now);
        self.credit(seconds * floor, cap);
    }
}

impl Budget for TokenBudget {
    fn deposit(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    fn withdraw(&self, cost: f64, now: Instant) -> Claim {
        let cap = self.cap();
        let mut ledger = self.lock();
        ledger.catch_up(now, self.floor, cap);
        ledger.claimed += cost;
        Claim::new(cost, ledger.claimed)
    }

    fn due(&self, claim: &Claim, now: Instant) -> Option<Instant> {
        let cap = self.cap();
        let mut ledger = self.lock();
        ledger.catch_up(now, self.floor, cap);
        let missing = claim.covered_by - ledger.credits;
        // A billionth is what adding up leaves over.
        if missing <= 1e-9 {
            return Some(now);
        }
        let wait = Duration::try_from_secs_f64(missing / self.floor).ok()?;
        now.checked_add(wait)
    }

    fn refund(&self, claim: Claim) {
        let cap = self.cap();
        self.lock().credit(claim.cost, cap);
    }
}

impl Default for TokenBudget {
    /// A fifth of the requests and one a second.
    fn default() -> Self {
        Self::new(0.2, 1.0)
    }
}

impl fmt::Debug for TokenBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ledger = self.lock();
        f.debug_struct("TokenBudget")
            .field("ratio", &self.ratio)
            .field("floor", &self.floor)
            .field("balance", &(ledger.credits - ledger.claimed))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn earns_with_requests_and_with_time() {
        let now = Instant::now();
        let budget = TokenBudget::new(0.5, 1.0);
        budget.deposit();
        budget.deposit();
        let paid = budget.withdraw(1.0, now);
        assert_eq!(budget.due(&paid, now), Some(now));
        let next = budget.withdraw(1.0, now);
        assert_eq!(budget.due(&next, now), Some(now + secs(1)));
        let third = budget.withdraw(1.0, now);
        assert_eq!(budget.due(&third, now), Some(now + secs(2)));
        // What comes in meanwhile brings the line forward.
        budget.refund(paid);
        assert_eq!(budget.due(&next, now), Some(now));
        assert_eq!(budget.due(&third, now), Some(now + secs(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn saves_no_more_than_its_cap_whatever_time_passes() {
        let now = Instant::now();
        let budget = TokenBudget::new(0.0, 3.0);
        budget.refund(Claim::new(1e12, 0.0));
        let later = now + secs(1 << 40);
        for count in 1..=4 {
            let claim = budget.withdraw(1.0, later);
            assert_eq!(
                budget.due(&claim, later) == Some(later),
                count <= 3,
                "{count}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_floor_nothing_is_foreseen() {
        let now = Instant::now();
        let budget = TokenBudget::new(-1.0, f64::NAN);
        budget.deposit();
        assert_eq!(budget.due(&budget.withdraw(1.0, now), now), None);
    }

    proptest! {
        /// Whatever comes in whichever order: covered claims never come to more than was earned.
        #[test]
        fn is_never_overdrawn(
            ratio in 0.0..1.0_f64,
            floor in 0.0..5.0_f64,
            steps in proptest::collection::vec((0_u64..3000, 0.1..3.0_f64, any::<bool>()), 1..60),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            let _guard = runtime.enter();
            let budget = TokenBudget::new(ratio, floor);
            let start = Instant::now();
            let (mut now, mut earned, mut spent) = (start, 0.0, 0.0);
            for (millis, cost, request) in steps {
                now += Duration::from_millis(millis);
                if request {
                    budget.deposit();
                    earned += ratio;
                }
                let claim = budget.withdraw(cost, now);
                if budget.due(&claim, now) == Some(now) {
                    spent += cost;
                } else {
                    budget.refund(claim);
                }
                let time = now.duration_since(start).as_secs_f64() * floor;
                prop_assert!(spent <= earned + time + 1e-6, "{spent} of {earned} + {time}");
            }
        }
    }
}
