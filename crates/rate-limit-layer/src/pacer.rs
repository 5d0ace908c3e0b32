use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use throttle_signal::{Kind, Wait};

use crate::control::Guard;
use crate::core::{Core, Reservation};
use crate::lock::Lock;
use crate::plan::{Plan, Settings};
use crate::{Cost, Quota, num};

/// One partition by itself: the arithmetic that a [`Limiter`](crate::Limiter) decides by, without
/// HTTP, waiting or a clock.
///
/// For simulations, and for pacing what is no HTTP request. Time is an argument, counted from
/// wherever the caller likes; one that lies before the last counts as the last.
///
/// # Example
///
/// ```
/// use std::time::Duration;
///
/// use rate_limit_layer::{Cost, Pacer, Quota};
///
/// let pacer = Pacer::new(Quota::new().requests_per_second(1)).guard(Duration::ZERO);
///
/// let start = Duration::from_secs(100);
/// assert!(pacer.reserve(start, Cost::REQUEST).is_ok());
/// let wait = pacer.reserve(start, Cost::REQUEST).unwrap_err();
/// assert_eq!(wait, Some(Duration::from_secs(1)));
/// ```
pub struct Pacer {
    quota: Quota,
    core: Lock<Core>,
}

/// What a [`Pacer`] reserved, to be refunded, settled or refused. Left alone, it keeps its estimate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Reserved(Reservation);

impl Pacer {
    /// Creates a pacer of this quota, with a learned guard.
    #[must_use]
    pub fn new(quota: Quota) -> Self {
        Self::with(quota, Guard::Learned)
    }

    /// Fixes the guard, see [`LimiterBuilder::guard`](crate::LimiterBuilder::guard).
    #[must_use]
    pub fn guard(self, guard: Duration) -> Self {
        Self::with(self.quota, Guard::Fixed(guard))
    }

    fn with(quota: Quota, guard: Guard) -> Self {
        let settings = Settings {
            guard,
            ..Settings::default()
        };
        let core = Core::new(0, Arc::new(Plan::new(quota, Arc::new(settings))));
        Self {
            quota,
            core: Lock::new(core),
        }
    }

    /// Takes `cost` of every window, or of none.
    ///
    /// # Errors
    ///
    /// How long it takes until all of them have room, or `None` if that depends on a request in
    /// flight or never comes.
    pub fn reserve(&self, now: Duration, cost: Cost) -> Result<Reserved, Option<Duration>> {
        let mut core = self.core.lock();
        let now = core.clock(num::nanos(now));
        if let Some(reservation) = core.admit(now, &cost) {
            return Ok(Reserved(reservation));
        }
        Err(wait(&mut core, now, &cost))
    }

    /// Gives everything back: the request was not sent.
    pub fn refund(&self, now: Duration, reserved: Reserved) {
        self.core.lock().refund(num::nanos(now), &reserved.0);
    }

    /// The request was answered and took `actual`.
    pub fn settle(&self, now: Duration, reserved: Reserved, actual: Cost) {
        let mut core = self.core.lock();
        core.answered(num::nanos(now), &reserved.0);
        core.settle(num::nanos(now), &reserved.0, actual);
    }

    /// The request was refused.
    pub fn refuse(&self, now: Duration, reserved: Reserved, kind: Kind, wait: Wait) {
        let mut core = self.core.lock();
        core.refused(num::nanos(now), &reserved.0, kind, wait);
        core.settle(num::nanos(now), &reserved.0, Cost::default());
    }
}

/// How long `cost` has to wait, if that is known. Apart, as most requests do not.
#[cold]
#[inline(never)]
fn wait(core: &mut Core, now: u64, cost: &Cost) -> Option<Duration> {
    let at = core.earliest(now, cost)?;
    let fits = core.never_fits(cost).is_none();
    fits.then(|| Duration::from_nanos(at.saturating_sub(now)))
}

impl fmt::Debug for Pacer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pacer")
            .field("quota", &self.quota)
            .finish_non_exhaustive()
    }
}
