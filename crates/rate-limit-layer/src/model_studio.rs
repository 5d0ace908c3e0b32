//! What Alibaba Model Studio allows an account of a model.

use crate::Quota;

impl Quota {
    /// Creates a quota of Model Studio: so many requests and tokens a minute, and a sixtieth of each in
    /// any second, as it enforces them.
    ///
    /// # Example
    ///
    /// ```
    /// use rate_limit_layer::Quota;
    ///
    /// // As granted in the console.
    /// const QWEN_PLUS: Quota = Quota::model_studio(15_000, 5_000_000);
    ///
    /// assert_eq!(QWEN_PLUS.limits()[0].most(), 250);
    /// ```
    #[must_use]
    pub const fn model_studio(requests_per_minute: u64, tokens_per_minute: u64) -> Self {
        Self::new()
            .requests_per_second(requests_per_minute / 60)
            .requests_per_minute(requests_per_minute)
            .tokens_per_second(tokens_per_minute / 60)
            .tokens_per_minute(tokens_per_minute)
    }

    /// What Model Studio publishes for `qwen3-max`: 600 requests and a million tokens a minute. What an
    /// account has may differ.
    pub const QWEN3_MAX: Self = Self::model_studio(600, 1_000_000);

    /// What Model Studio publishes for the snapshot `qwen3-max-2025-09-23`: 60 requests and 100 000
    /// tokens a minute.
    pub const QWEN3_MAX_2025_09_23: Self = Self::model_studio(60, 100_000);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limit;

    #[test]
    fn a_second_has_a_sixtieth_of_a_minute() {
        let most = |quota: Quota| quota.limits().iter().map(Limit::most).collect::<Vec<_>>();
        assert_eq!(most(Quota::QWEN3_MAX), [10, 600, 16_666, 1_000_000]);
        assert_eq!(most(Quota::QWEN3_MAX_2025_09_23), [1, 60, 1_666, 100_000]);
        assert_eq!(most(Quota::model_studio(30, 30)), [1, 30, 1, 30]);
    }
}
