use std::sync::Arc;
use std::time::Duration;

use throttle_signal::{AccountId, Fingerprint, Kind};
use tokio::time::Instant;

use crate::KeyPool;
use crate::bench::{Bench, Gate};
use crate::member::Member;

/// How it stands with one account, see [`KeyPool::snapshot`].
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AccountSnapshot {
    /// Its name.
    pub account: AccountId,

    /// Whether requests may go to it.
    pub enabled: bool,

    /// Requests it serves whose answer has not begun.
    pub in_flight: u32,

    /// Why the whole account is left alone, if it is.
    pub out: Option<Out>,

    /// Models left alone on this account.
    pub models: Vec<ModelSnapshot>,

    /// Its keys, in their order.
    pub keys: Vec<KeySnapshot>,
}

/// A model that is left alone on one account.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ModelSnapshot {
    /// Its name; empty for requests that name none.
    pub model: Arc<str>,

    /// Why it is left alone.
    pub out: Out,
}

/// How it stands with one key.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeySnapshot {
    /// What tells it from the others.
    pub fingerprint: Fingerprint,

    /// Whether an answer ever came back for it.
    pub proven: bool,

    /// Requests it serves whose answer has not begun.
    pub in_flight: u32,

    /// Why it is left alone, if it is.
    pub out: Option<Out>,
}

/// Why something is left alone, and for how long.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Out {
    /// What was refused.
    pub kind: Kind,

    /// How long until the next request may go there; 0 when it is due, and that request is the
    /// probe.
    pub back_in: Duration,
}

impl KeyPool {
    /// Shows how it stands with every account, in their order. It names keys by fingerprint only.
    #[must_use]
    pub fn snapshot(&self) -> Vec<AccountSnapshot> {
        let now = Instant::now();
        self.members()
            .iter()
            .map(|member| member.snapshot(now))
            .collect()
    }
}

impl Member {
    fn snapshot(&self, now: Instant) -> AccountSnapshot {
        let state = self.lock();
        let keys = self
            .keys
            .iter()
            .zip(&state.keys)
            .map(|(key, state)| KeySnapshot {
                fingerprint: key.fingerprint().clone(),
                proven: state.proven,
                in_flight: state.in_flight,
                out: state.bench.as_ref().and_then(|bench| out(bench, now)),
            });
        let models = state.models.iter().filter_map(|(model, bench)| {
            let model = Arc::clone(model);
            out(bench, now).map(|out| ModelSnapshot { model, out })
        });
        AccountSnapshot {
            account: self.id.clone(),
            enabled: state.enabled,
            in_flight: state.keys.iter().map(|key| key.in_flight).sum(),
            out: state.account.as_ref().and_then(|bench| out(bench, now)),
            models: models.collect(),
            keys: keys.collect(),
        }
    }
}

fn out(bench: &Bench, now: Instant) -> Option<Out> {
    let back_in = match bench.gate(now) {
        Gate::Open => return None,
        Gate::Probe => Duration::ZERO,
        Gate::Shut(until) => until.saturating_duration_since(now),
    };
    Some(Out {
        kind: bench.kind(),
        back_in,
    })
}
