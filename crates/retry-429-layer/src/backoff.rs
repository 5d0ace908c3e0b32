use std::time::Duration;

use throttle_signal::{Kind, Throttle, Wait};

use crate::random::fraction;
use crate::{Attempt, Decision, Policy};

/// Policy that waits as told, else as long as such limits usually take, else by exponential backoff
/// with full jitter.
///
/// * A refusal that a limiter below [paces](Throttle::paced) goes back at once: the limiter holds it
///   in its old place.
/// * A stated wait is a floor: it is waited out, plus a tenth of it at random, at most a second, so
///   that callers refused together do not come back together. From the third refusal on a growing
///   part comes on top, since some servers state a constant.
/// * A typical wait starts where it is and doubles with each refusal.
/// * With neither, and for too many requests at once, the delay is a random part of one that doubles from
///   [`initial_delay`](Self::initial_delay) up to [`max_guess`](Self::max_guess).
/// * A wait longer than [`max_delay`](Self::max_delay) is not waited for: the refusal is handed back at
///   once. Coming back sooner than told earns another refusal, and coming back that late is the
///   caller's decision.
/// * A refusal that no wait cures is handed back, and so is everything else.
///
/// # Example
///
/// ```
/// use std::time::Duration;
///
/// use retry_429_layer::Backoff;
///
/// const POLICY: Backoff = Backoff::new()
///     .max_retries(5)
///     .max_delay(Duration::from_secs(20))
///     .max_elapsed(Duration::from_secs(90));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Backoff {
    max_retries: u32,
    initial_delay: Duration,
    max_guess: Duration,
    max_delay: Duration,
    max_elapsed: Duration,
    jitter: bool,
}

impl Backoff {
    /// Creates the default policy: 10 retries, half a second doubling up to half a minute, known
    /// waits of up to two minutes, for any total time.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            max_retries: 10,
            initial_delay: Duration::from_millis(500),
            max_guess: Duration::from_secs(30),
            max_delay: Duration::from_secs(120),
            max_elapsed: Duration::MAX,
            jitter: true,
        }
    }

    /// Sets how many times a request is sent again, on top of the original send.
    #[must_use]
    pub const fn max_retries(self, max_retries: u32) -> Self {
        Self {
            max_retries,
            ..self
        }
    }

    /// Sets the delay before the first retry when no wait is known.
    #[must_use]
    pub const fn initial_delay(self, initial_delay: Duration) -> Self {
        Self {
            initial_delay,
            ..self
        }
    }

    /// Sets the longest delay when no wait is known.
    #[must_use]
    pub const fn max_guess(self, max_guess: Duration) -> Self {
        Self { max_guess, ..self }
    }

    /// Sets the longest delay before any one retry. A refusal that asks for more is handed back.
    #[must_use]
    pub const fn max_delay(self, max_delay: Duration) -> Self {
        Self { max_delay, ..self }
    }

    /// Sets the longest time from the first send to the last. A delay that would pass it is not
    /// begun. The wait for the [`Budget`](crate::Budget) and for others of the same partition comes on
    /// top; a [`Deadline`](throttle_signal::Deadline) bounds that as well.
    #[must_use]
    pub const fn max_elapsed(self, max_elapsed: Duration) -> Self {
        Self {
            max_elapsed,
            ..self
        }
    }

    /// Makes every delay the full one and adds nothing to a stated one. For tests: without jitter,
    /// clients refused together come back together.
    #[must_use]
    pub const fn without_jitter(self) -> Self {
        Self {
            jitter: false,
            ..self
        }
    }

    /// What to do after a failure of which nothing is known but that it may be repeated.
    pub(crate) fn after_failure<E>(&self, attempt: &Attempt<'_, E>) -> Decision {
        self.bounded(attempt, self.backoff(attempt.number()), "a failure")
    }

    fn bounded<E>(&self, attempt: &Attempt<'_, E>, after: Duration, why: &'static str) -> Decision {
        if attempt.number() > self.max_retries {
            Decision::give_back("no retries left")
        } else if after > self.max_delay {
            Decision::give_back("the wait is longer than max_delay")
        } else if attempt.elapsed().saturating_add(after) > self.max_elapsed {
            Decision::give_back("the wait would pass max_elapsed")
        } else {
            Decision::retry(after, why)
        }
    }

    /// The delay before the retry after refusal `number`, and what it is.
    fn delay(&self, number: u32, throttle: &Throttle) -> (Duration, &'static str) {
        match throttle.wait() {
            _ if throttle.paced() => (Duration::ZERO, "paced below"),
            Wait::Stated(wait) => {
                // A limit is checked against what was stated; the jitter does not turn it down.
                let room = self.max_delay.saturating_sub(wait);
                let spread = (wait / 10).min(Duration::from_secs(1));
                let again = number.checked_sub(2).filter(|count| *count > 0);
                let more = again.map_or(Duration::ZERO, |count| self.backoff(count));
                let extra = self.part(spread).saturating_add(more).min(room);
                (wait.saturating_add(extra), "as stated")
            }
            // Room comes when any request ends, soon and at no known time.
            _ if throttle.kind() == Kind::Concurrency => (self.backoff(number), "by backoff"),
            Wait::Typical(wait) => {
                let grown = wait
                    .saturating_mul(doubled(number))
                    .min(self.max_guess.max(wait));
                (
                    grown.saturating_add(self.part(grown / 4)),
                    "as such limits usually take",
                )
            }
            _ => (self.backoff(number), "by backoff"),
        }
    }

    /// A random part of the delay that doubles; all of it without jitter.
    fn backoff(&self, number: u32) -> Duration {
        let full = self.initial_delay.saturating_mul(doubled(number));
        let full = full.min(self.max_guess);
        if self.jitter {
            full.mul_f64(fraction())
        } else {
            full
        }
    }

    /// A random part of `most`; none of it without jitter.
    fn part(&self, most: Duration) -> Duration {
        if self.jitter {
            most.mul_f64(fraction())
        } else {
            Duration::ZERO
        }
    }
}

/// 1 for the first, 2 for the second, 4 for the third.
fn doubled(number: u32) -> u32 {
    2_u32.saturating_pow(number.saturating_sub(1))
}

impl<E> Policy<E> for Backoff {
    fn decide(&mut self, attempt: &Attempt<'_, E>) -> Decision {
        let Some(throttle) = attempt.throttle() else {
            return Decision::give_back("not a refusal");
        };
        if !throttle.retry() {
            return Decision::give_back("waiting does not help");
        }
        if !attempt.was_not_processed() {
            return Decision::give_back("it may have been processed");
        }
        let (after, why) = self.delay(attempt.number(), throttle);
        self.bounded(attempt, after, why)
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use proptest::prelude::*;

    use super::*;

    fn throttle(wait: Wait) -> Throttle {
        Throttle::new(Kind::RequestRate).with_wait(wait)
    }

    fn decide(mut policy: Backoff, number: u32, throttle: &Throttle) -> Decision {
        let status = StatusCode::TOO_MANY_REQUESTS;
        let attempt = Attempt::<()>::answered(number, Duration::ZERO, status, Some(throttle));
        policy.decide(&attempt)
    }

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    const POLICY: Backoff = Backoff::new()
        .max_retries(u32::MAX)
        .initial_delay(secs(1))
        .max_guess(secs(5))
        .without_jitter();

    #[test]
    fn delay_doubles_up_to_the_maximum() {
        for (number, seconds) in [(1, 1), (2, 2), (3, 4), (4, 5), (40, 5), (u32::MAX - 1, 5)] {
            let decision = decide(POLICY, number, &throttle(Wait::Unknown));
            assert_eq!(
                decision,
                Decision::retry(secs(seconds), "by backoff"),
                "{number}"
            );
        }
    }

    #[test]
    fn a_typical_wait_doubles_from_where_it_is() {
        let policy = POLICY.max_guess(secs(60));
        for (number, seconds) in [(1, 1), (2, 2), (3, 4), (7, 60)] {
            let decision = decide(policy, number, &throttle(Wait::Typical(secs(1))));
            let expected = Decision::retry(secs(seconds), "as such limits usually take");
            assert_eq!(decision, expected, "{number}");
        }
    }

    #[test]
    fn too_many_at_once_back_off_unless_a_wait_is_stated() {
        let refused = Throttle::new(Kind::Concurrency);
        let typical = refused.clone().with_wait(Wait::Typical(secs(3)));
        let stated = refused.with_wait(Wait::Stated(secs(3)));
        for (refused, expected) in [
            (typical, Decision::retry(secs(1), "by backoff")),
            (stated, Decision::retry(secs(3), "as stated")),
        ] {
            assert_eq!(decide(POLICY, 1, &refused), expected);
        }
    }

    #[test]
    fn a_constant_stated_wait_grows_from_the_third_refusal_on() {
        for (number, seconds) in [(1, 1), (2, 1), (3, 2), (4, 3), (5, 5)] {
            let decision = decide(POLICY, number, &throttle(Wait::Stated(secs(1))));
            assert_eq!(
                decision,
                Decision::retry(secs(seconds), "as stated"),
                "{number}"
            );
        }
    }

    #[test]
    fn a_paced_refusal_goes_back_at_once() {
        let paced = throttle(Wait::Stated(secs(60))).with_paced(true);
        assert_eq!(
            decide(POLICY, 1, &paced),
            Decision::retry(Duration::ZERO, "paced below")
        );
    }

    #[test]
    fn stops_when_retries_run_out() {
        let policy = POLICY.max_retries(2);
        assert!(decide(policy, 2, &throttle(Wait::Unknown)).is_retry());
        assert!(!decide(policy, 3, &throttle(Wait::Unknown)).is_retry());
    }

    #[test]
    fn stops_before_the_delay_that_would_pass_max_elapsed() {
        let mut policy = POLICY.max_elapsed(secs(10));
        let refused = throttle(Wait::Stated(secs(3)));
        for (elapsed, expected) in [(7, true), (8, false)] {
            let status = StatusCode::TOO_MANY_REQUESTS;
            let attempt = Attempt::<()>::answered(1, secs(elapsed), status, Some(&refused));
            assert_eq!(policy.decide(&attempt).is_retry(), expected, "{elapsed}");
        }
    }

    #[test]
    fn hands_back_what_no_wait_cures() {
        for refused in [
            Throttle::new(Kind::QuotaExhausted),
            Throttle::new(Kind::Credential),
            throttle(Wait::Stated(secs(1))).with_retry(false),
        ] {
            assert!(!decide(POLICY, 1, &refused).is_retry(), "{refused}");
        }
    }

    #[test]
    fn hands_back_what_may_have_been_processed() {
        let overloaded = Throttle::new(Kind::Overloaded);
        for (status, expected) in [
            (429, true),
            (503, true),
            (529, true),
            (498, true),
            (524, false),
            (500, false),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let attempt = Attempt::<()>::answered(1, Duration::ZERO, status, Some(&overloaded));
            assert_eq!(
                POLICY.clone().decide(&attempt).is_retry(),
                expected,
                "{status}"
            );
        }
    }

    #[test]
    fn hands_back_failures_that_are_no_refusal() {
        let attempt = Attempt::<()>::answered(1, Duration::ZERO, StatusCode::BAD_GATEWAY, None);
        assert!(!POLICY.clone().decide(&attempt).is_retry());
        assert!(
            !POLICY
                .clone()
                .decide(&Attempt::failed(1, Duration::ZERO, &()))
                .is_retry()
        );
    }

    proptest! {
        #[test]
        fn never_sooner_than_stated_and_never_later_than_allowed(
            number in 1_u32..,
            initial_delay: Duration,
            max_guess: Duration,
            max_delay: Duration,
            stated: Duration,
            jitter: bool,
        ) {
            let policy = Backoff {
                max_retries: u32::MAX,
                initial_delay,
                max_guess,
                max_delay,
                max_elapsed: Duration::MAX,
                jitter,
            };
            for wait in [Wait::Stated(stated), Wait::Typical(stated), Wait::Unknown] {
                match decide(policy, number, &throttle(wait)) {
                    Decision::Retry { after, .. } => {
                        prop_assert!(after <= max_delay);
                        prop_assert!(wait.stated().is_none_or(|stated| after >= stated));
                    }
                    Decision::GiveBack { .. } => {
                        prop_assert!(number == u32::MAX || wait.stated().is_none_or(|stated| stated > max_delay));
                    }
                }
            }
        }
    }
}
