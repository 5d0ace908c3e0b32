//! What the features `tracing` and `metrics` emit, in one place. Without them it is nothing.

use throttle_signal::{AccountId, Fingerprint, Throttle};

use crate::decision::Move;

/// A key was refused, and this is done about it.
#[cfg_attr(
    not(all(feature = "metrics", feature = "tracing")),
    allow(unused_variables, reason = "nobody, or one only, watches")
)]
pub(crate) fn refused(
    throttle: &Throttle,
    account: &AccountId,
    key: &Fingerprint,
    decision: &Move,
) {
    #[cfg(any(feature = "metrics", feature = "tracing"))]
    let (decision, next) = match decision {
        Move::On(lease, _) => ("next", Some(lease.account())),
        Move::Up(_) => ("up", None),
        Move::Instead(_) => ("instead", None),
    };
    #[cfg(feature = "tracing")]
    tracing::debug!(
        %account,
        %key,
        model = throttle.model().map(AsRef::as_ref),
        kind = throttle.kind().as_str(),
        scope = throttle.scope().as_str(),
        decision,
        next = next.map(AccountId::as_str),
        "refused"
    );
    #[cfg(feature = "metrics")]
    {
        let account = account.as_str().to_owned();
        let kind = throttle.kind().as_str();
        metrics::counter!("key_rotation_refusals_total", "account" => account, "kind" => kind, "decision" => decision).increment(1);
    }
}

/// No account can take a request now.
#[cfg_attr(
    not(any(feature = "metrics", feature = "tracing")),
    allow(unused_variables, reason = "nobody watches")
)]
pub(crate) fn all_out(throttle: &Throttle) {
    #[cfg(feature = "tracing")]
    tracing::debug!(
        model = throttle.model().map(AsRef::as_ref),
        kind = throttle.kind().as_str(),
        back_in = ?throttle.wait().known(),
        "all accounts are out"
    );
    #[cfg(feature = "metrics")]
    metrics::counter!("key_rotation_all_out_total", "kind" => throttle.kind().as_str())
        .increment(1);
}
