use std::time::Duration;

use throttle_signal::{Kind, Origin, RequestFacts, Scope, Throttle, Wait};
use tokio::time::Instant;

use crate::Unit;

/// Why a request is not sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refusal {
    /// There is room only after this time, as far as is known.
    TooLate(Option<Duration>),

    /// It is larger than the quota.
    TooLarge(Unit),

    /// The quota is exhausted for this time.
    Exhausted(Duration),
}

impl Refusal {
    /// The verdict on a request that is refused at `now`.
    pub(crate) fn throttle(self, facts: &RequestFacts, now: Instant) -> Throttle {
        let throttle = match self {
            Self::TooLate(wait) => {
                // Who has a deadline cannot come back after it; who has less patience here can.
                let over = |deadline| {
                    wait.is_none_or(|wait| now.checked_add(wait).is_none_or(|at| at > deadline))
                };
                Throttle::new(Kind::RequestRate)
                    .with_retry(!facts.deadline().is_some_and(over))
                    .with_wait(wait.map_or(Wait::Unknown, Wait::Stated))
                    .with_because("the quota has no room in time")
            }
            Self::TooLarge(unit) => {
                let kind = if unit.is_tokens() {
                    Kind::TokenRate
                } else {
                    Kind::RequestRate
                };
                Throttle::new(kind)
                    .with_retry(false)
                    .with_because("the request is larger than the quota")
            }
            Self::Exhausted(wait) => Throttle::new(Kind::QuotaExhausted)
                .with_wait(Wait::Stated(wait))
                .with_because("the upstream said that the quota is exhausted"),
        };
        throttle
            .with_scope(Scope::Model)
            .with_origin(Origin::Limiter)
            .with_account(facts.account().cloned())
            .with_key(facts.key().cloned())
            .with_model(facts.model().cloned())
    }
}
