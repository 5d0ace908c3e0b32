use std::num::NonZeroU32;
use std::time::Duration;

use crate::{Charging, Limit, Unit, num};

/// What an upstream allows one account of one model: any set of limits, held all at once.
///
/// A quota is made of [`Limit`]s, each so many of a [`Unit`] in a sliding window of time. Building
/// it is `const`, and there is no invalid one: a limit of 0 counts as 1, a window shorter than a
/// millisecond as a millisecond. Setting the same unit and window again replaces the limit.
///
/// # Example
///
/// ```
/// use rate_limit_layer::Quota;
///
/// const QWEN3_MAX: Quota = Quota::new()
///     .requests_per_second(10)
///     .requests_per_minute(600)
///     .tokens_per_minute(1_000_000);
///
/// assert_eq!(QWEN3_MAX.limits().len(), 3);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Quota {
    limits: [Limit; Self::MAX_LIMITS],
    len: usize,
    concurrent: Option<NonZeroU32>,
    charging: Charging,
    burst: f32,
    output_weight: f32,
    cached_weight: f32,
}

impl Quota {
    /// How many limits a quota can hold. Known providers have four at most.
    pub const MAX_LIMITS: usize = 8;

    /// Creates a quota without a limit.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            limits: [Limit::new(Unit::Requests, 1, SECOND); Self::MAX_LIMITS],
            len: 0,
            concurrent: None,
            charging: Charging::PostPaid,
            burst: 0.1,
            output_weight: 1.0,
            cached_weight: 1.0,
        }
    }

    /// Sets how many requests may be sent in any second.
    #[must_use]
    pub const fn requests_per_second(self, most: u64) -> Self {
        self.limit(Unit::Requests, most, SECOND)
    }

    /// Sets how many requests may be sent in any minute.
    #[must_use]
    pub const fn requests_per_minute(self, most: u64) -> Self {
        self.limit(Unit::Requests, most, MINUTE)
    }

    /// Sets how many requests may be sent in any 24 hours.
    #[must_use]
    pub const fn requests_per_day(self, most: u64) -> Self {
        self.limit(Unit::Requests, most, DAY)
    }

    /// Sets how many tokens, in and out, may be used in any second.
    #[must_use]
    pub const fn tokens_per_second(self, most: u64) -> Self {
        self.limit(Unit::Tokens, most, SECOND)
    }

    /// Sets how many tokens, in and out, may be used in any minute.
    #[must_use]
    pub const fn tokens_per_minute(self, most: u64) -> Self {
        self.limit(Unit::Tokens, most, MINUTE)
    }

    /// Sets how many tokens, in and out, may be used in any 24 hours.
    #[must_use]
    pub const fn tokens_per_day(self, most: u64) -> Self {
        self.limit(Unit::Tokens, most, DAY)
    }

    /// Sets how many tokens of prompts may be used in any minute.
    #[must_use]
    pub const fn input_tokens_per_minute(self, most: u64) -> Self {
        self.limit(Unit::InputTokens, most, MINUTE)
    }

    /// Sets how many tokens of answers may be used in any minute.
    #[must_use]
    pub const fn output_tokens_per_minute(self, most: u64) -> Self {
        self.limit(Unit::OutputTokens, most, MINUTE)
    }

    /// Sets any limit: so many of `unit` in any `window`.
    ///
    /// # Panics
    ///
    /// With a unit and window beyond the [`MAX_LIMITS`](Self::MAX_LIMITS)th; in a `const` that is a
    /// compile error.
    #[must_use]
    pub const fn limit(mut self, unit: Unit, most: u64, window: Duration) -> Self {
        let limit = Limit::new(unit, most, window);
        let mut at = 0;
        while at < self.len {
            let set = self.limits[at];
            if set.unit() as u8 == unit as u8 && set.nanos() == limit.nanos() {
                break;
            }
            at += 1;
        }
        assert!(at < Self::MAX_LIMITS, "more limits than a quota can hold");
        self.limits[at] = limit;
        if at == self.len {
            self.len += 1;
        }
        self
    }

    /// Sets how many requests may be in flight at once, each until its response body has ended.
    #[must_use]
    pub const fn concurrent(self, most: u32) -> Self {
        let concurrent = match NonZeroU32::new(most) {
            None => Some(NonZeroU32::MIN),
            some => some,
        };
        Self { concurrent, ..self }
    }

    /// Sets how the upstream charges tokens. [`Charging::PostPaid`] unless set.
    #[must_use]
    pub const fn charging(self, charging: Charging) -> Self {
        Self { charging, ..self }
    }

    /// Sets how many tokens of the quota a token of an answer takes: 5 for some models of Bedrock, and
    /// 1 unless set. What is not between 0 and 1000 counts as the nearer of them.
    #[must_use]
    pub const fn output_weight(self, weight: f32) -> Self {
        Self {
            output_weight: weight,
            ..self
        }
    }

    /// Sets how many tokens of the quota a token takes that the upstream had in its cache: 0 at
    /// Anthropic, and 1 unless set.
    #[must_use]
    pub const fn cached_weight(self, weight: f32) -> Self {
        Self {
            cached_weight: weight,
            ..self
        }
    }

    /// Lets a whole window's limit be sent at once.
    ///
    /// By default requests are spaced so that a burst is never more than a tenth of a limit. Where the
    /// upstream is known to count exactly, bursts are answered sooner after idleness.
    ///
    /// Where it is not known, leave it. Upstreams that estimate a sliding window from two counters, and
    /// those with small buckets, refuse bursts, and quota goes to waste with the refusals. In an hour
    /// of the example `pacing` (`--server E,F`) the first kind gives 62 % of its quota with bursts and
    /// 87 % without, the second 26 % and 65 %; with bursts 1.7 % and 9.5 % of all requests are refused.
    #[must_use]
    pub const fn allow_bursts(self) -> Self {
        Self { burst: 1.0, ..self }
    }

    /// Returns the limits, in the order they were set.
    #[must_use]
    pub fn limits(&self) -> &[Limit] {
        self.limits.get(..self.len).unwrap_or_default()
    }

    /// Returns how many requests may be in flight at once, if that is limited.
    #[must_use]
    pub const fn max_concurrent(&self) -> Option<NonZeroU32> {
        self.concurrent
    }

    pub(crate) const fn burst(&self) -> f32 {
        self.burst
    }

    /// What so many tokens of an answer take.
    pub(crate) fn weigh_output(&self, tokens: u64) -> u64 {
        weigh(tokens, self.output_weight)
    }

    /// What a prompt takes of which so many tokens were cached.
    pub(crate) fn weigh_input(&self, tokens: u64, cached: u64) -> u64 {
        let cached = cached.min(tokens);
        (tokens - cached).saturating_add(weigh(cached, self.cached_weight))
    }

    /// What a token of an answer, and one that was cached, takes.
    #[cfg(feature = "redis")]
    pub(crate) const fn weights(&self) -> (f32, f32) {
        (self.output_weight, self.cached_weight)
    }

    pub(crate) const fn charged(&self) -> Charging {
        self.charging
    }
}

impl Default for Quota {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for Quota {
    fn eq(&self, other: &Self) -> bool {
        self.limits() == other.limits()
            && self.concurrent == other.concurrent
            && self.charging == other.charging
            && self.burst.to_bits() == other.burst.to_bits()
            && self.output_weight.to_bits() == other.output_weight.to_bits()
            && self.cached_weight.to_bits() == other.cached_weight.to_bits()
    }
}

fn weigh(tokens: u64, weight: f32) -> u64 {
    num::times(tokens, f64::from(weight.clamp(0.0, 1000.0)))
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Quota = Quota::new()
        .requests_per_second(10)
        .requests_per_minute(600)
        .concurrent(0);

    #[test]
    fn is_built_in_a_const() {
        assert_eq!(FULL.limits().len(), 2);
        assert_eq!(FULL.max_concurrent(), Some(NonZeroU32::MIN));
    }

    #[test]
    fn setting_a_window_again_replaces_it() {
        let quota = FULL.requests_per_second(20);
        assert_eq!(quota.limits().len(), 2);
        assert_eq!(quota.limits()[0].most(), 20);
    }
}
