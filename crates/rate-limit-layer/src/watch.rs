//! What the features `tracing` and `metrics` emit, in one place. Without them it is nothing.

use std::time::Duration;

use throttle_signal::{RequestFacts, Throttle};

/// A request was sent after a wait.
#[cfg_attr(
    not(any(feature = "metrics", feature = "tracing")),
    allow(unused_variables, reason = "nobody watches")
)]
pub(crate) fn waited(facts: &RequestFacts, waited: Duration) {
    #[cfg(feature = "tracing")]
    tracing::trace!(
        account = account(facts),
        model = model(facts),
        ?waited,
        "sent after a wait"
    );
    #[cfg(feature = "metrics")]
    metrics::histogram!("rate_limit_wait_seconds", "account" => account(facts).to_owned(), "model" => model(facts).to_owned())
        .record(waited);
}

/// A request was not sent: there was no room for it in time.
#[cfg_attr(
    not(any(feature = "metrics", feature = "tracing")),
    allow(unused_variables, reason = "nobody watches")
)]
pub(crate) fn handed_back(facts: &RequestFacts, throttle: &Throttle) {
    #[cfg(feature = "tracing")]
    tracing::debug!(
        account = account(facts),
        model = model(facts),
        kind = throttle.kind().as_str(),
        wait = ?throttle.wait().known(),
        because = throttle.because(),
        "handed back"
    );
    #[cfg(feature = "metrics")]
    metrics::counter!("rate_limit_handed_back_total", "account" => account(facts).to_owned(), "model" => model(facts).to_owned(), "kind" => throttle.kind().as_str())
        .increment(1);
}

/// The upstream refused a request; `paced` says whether others are held back for it.
#[cfg_attr(
    not(feature = "tracing"),
    allow(unused_variables, reason = "a counter has no use for all of it")
)]
pub(crate) fn refused(throttle: &Throttle, paced: bool) {
    #[cfg(any(feature = "metrics", feature = "tracing"))]
    let account = throttle.account().map_or("", |account| account.as_str());
    #[cfg(any(feature = "metrics", feature = "tracing"))]
    let model = throttle.model().map_or("", AsRef::as_ref);
    #[cfg(feature = "tracing")]
    tracing::debug!(
        account,
        model,
        kind = throttle.kind().as_str(),
        wait = ?throttle.wait().known(),
        paced,
        "refused"
    );
    #[cfg(feature = "metrics")]
    metrics::counter!("rate_limit_refusals_total", "account" => account.to_owned(), "model" => model.to_owned(), "kind" => throttle.kind().as_str())
        .increment(1);
}

/// The store that instances share is out of reach, or answers again.
#[cfg(feature = "redis")]
#[cfg_attr(
    not(feature = "tracing"),
    allow(unused_variables, reason = "nobody watches")
)]
pub(crate) fn store(failure: Option<&impl std::fmt::Display>) {
    #[cfg(feature = "tracing")]
    if let Some(failure) = failure {
        tracing::warn!(%failure, "the shared store is out of reach");
    } else {
        tracing::info!("the shared store answers again");
    }
}

#[cfg(any(feature = "metrics", feature = "tracing"))]
fn account(facts: &RequestFacts) -> &str {
    facts.account().map_or("", |account| account.as_str())
}

#[cfg(any(feature = "metrics", feature = "tracing"))]
fn model(facts: &RequestFacts) -> &str {
    facts.model().map_or("", AsRef::as_ref)
}
