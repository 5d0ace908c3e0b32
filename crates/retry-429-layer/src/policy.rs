use std::fmt;
use std::time::Duration;

use crate::Attempt;

/// Decides whether a request is sent again, and after what delay.
///
/// A policy is a plain function from an attempt to a [`Decision`]: it waits for nothing and does
/// nothing, so it is tested without a runtime. The layer owns the timer, the calls and the bodies,
/// and keeps the deadline whatever a policy says.
///
/// # State
///
/// The layer clones its policy once for each request it asks it about. What a policy keeps in `self`
/// therefore lasts for that request alone; what requests are to share goes behind an [`Arc`](std::sync::Arc).
///
/// # Example
///
/// A policy that makes one more attempt, and only if the wait is known and short:
///
/// ```
/// use std::time::Duration;
///
/// use http::StatusCode;
/// use retry_429_layer::{Attempt, Decision, Policy};
/// use throttle_signal::{Kind, Throttle, Wait};
///
/// #[derive(Clone, Debug)]
/// struct OnceIfSoon;
///
/// impl<E> Policy<E> for OnceIfSoon {
///     fn decide(&mut self, attempt: &Attempt<'_, E>) -> Decision {
///         match attempt.throttle().and_then(|throttle| throttle.wait().known()) {
///             Some(wait) if attempt.number() == 1 && wait < Duration::from_secs(1) => {
///                 Decision::retry(wait, "soon enough")
///             }
///             _ => Decision::give_back("once is enough"),
///         }
///     }
/// }
///
/// let throttle = Throttle::new(Kind::RequestRate).with_wait(Wait::Stated(Duration::from_millis(7)));
/// let attempt = Attempt::<()>::answered(1, Duration::ZERO, StatusCode::TOO_MANY_REQUESTS, Some(&throttle));
/// assert!(OnceIfSoon.decide(&attempt).is_retry());
/// ```
pub trait Policy<E> {
    /// Judges one attempt. It is asked about refusals, answers of a status from 400 and errors, in
    /// their order; never about a success.
    fn decide(&mut self, attempt: &Attempt<'_, E>) -> Decision;
}

/// What a [`Policy`] makes of an attempt, and why, for the [`Trail`](throttle_signal::Trail).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decision {
    /// Drop the answer and send the request again.
    Retry {
        /// The least time from now until then. At 0 whoever is below decides when.
        after: Duration,
        /// Why, in a few words.
        why: &'static str,
    },

    /// Hand the answer, or the error, to the caller.
    GiveBack {
        /// Why, in a few words.
        why: &'static str,
    },
}

impl Decision {
    /// Sends again after at least this long.
    #[must_use]
    pub const fn retry(after: Duration, why: &'static str) -> Self {
        Self::Retry { after, why }
    }

    /// Hands back what came.
    #[must_use]
    pub const fn give_back(why: &'static str) -> Self {
        Self::GiveBack { why }
    }

    /// Whether it is to send again.
    #[must_use]
    pub const fn is_retry(&self) -> bool {
        matches!(self, Self::Retry { .. })
    }
}

/// Policy that also sends again after errors of the inner service that `retryable` picks.
///
/// After an error nobody knows whether the request was processed. Pick those that come before it
/// was sent, such as a refused connection, or those of requests that may run twice.
///
/// # Example
///
/// ```
/// use std::io;
///
/// use retry_429_layer::{Backoff, Retry429Layer, WithErrors};
///
/// const POLICY: WithErrors<Backoff, io::Error> =
///     WithErrors::new(Backoff::new(), |error| matches!(error.kind(), io::ErrorKind::ConnectionRefused));
///
/// let layer = Retry429Layer::with_policy(POLICY);
/// # let _ = layer;
/// ```
pub struct WithErrors<P, E> {
    policy: P,
    retryable: fn(&E) -> bool,
}

impl<P, E> WithErrors<P, E> {
    /// Asks `retryable` about errors and `policy` about the rest.
    pub const fn new(policy: P, retryable: fn(&E) -> bool) -> Self {
        Self { policy, retryable }
    }
}

impl<E> Policy<E> for WithErrors<crate::Backoff, E> {
    fn decide(&mut self, attempt: &Attempt<'_, E>) -> Decision {
        match attempt.error() {
            Some(error) if (self.retryable)(error) => self.policy.after_failure(attempt),
            Some(_) => Decision::give_back("not an error to send again after"),
            None => self.policy.decide(attempt),
        }
    }
}

impl<P: Clone, E> Clone for WithErrors<P, E> {
    fn clone(&self) -> Self {
        Self {
            policy: self.policy.clone(),
            retryable: self.retryable,
        }
    }
}

impl<P: fmt::Debug, E> fmt::Debug for WithErrors<P, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithErrors")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
