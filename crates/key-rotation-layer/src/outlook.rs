use std::sync::Arc;

use throttle_signal::{Kind, Origin, Scope, Throttle, Wait};
use tokio::time::Instant;

/// When the pool can take such a request again.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Outlook {
    /// The earliest moment an account is back that needs nothing but time, and why it is out.
    pub(crate) passes: Option<(Instant, Kind)>,
    /// The earliest probe of an account that may be out for longer, and why.
    pub(crate) probe: Option<(Instant, Kind)>,
}

impl Outlook {
    pub(crate) fn add(&mut self, until: Instant, kind: Kind) {
        let place = if kind.passes_with_time() {
            &mut self.passes
        } else {
            &mut self.probe
        };
        if place.is_none_or(|(earliest, _)| until < earliest) {
            *place = Some((until, kind));
        }
    }

    /// The refusal of a pool of which nobody can take the request.
    pub(crate) fn throttle(&self, model: Option<&Arc<str>>, now: Instant) -> Throttle {
        let (kind, at) = match (self.passes, self.probe) {
            (Some((at, kind)), _) | (None, Some((at, kind))) => (kind, Some(at)),
            (None, None) => (Kind::Credential, None), // every account is removed or disabled
        };
        let wait = at.map_or(Wait::Unknown, |at| {
            Wait::Stated(at.saturating_duration_since(now))
        });
        Throttle::new(kind)
            .with_scope(Scope::Model)
            .with_wait(wait)
            .with_retry(self.passes.is_some())
            .with_origin(Origin::Pool)
            .with_model(model.cloned())
            .with_because("key-rotation: every account is out")
    }
}
