use std::sync::Arc;
use std::sync::atomic::Ordering;

use throttle_signal::{Fingerprint, Kind};
use tokio::time::Instant;

use crate::bench::Bench;
use crate::member::{Member, State};
use crate::sentence::Target;
use crate::term::Length;

/// A refusal to bench for.
pub(crate) struct Refusal {
    pub(crate) target: Target,
    pub(crate) kind: Kind,
    pub(crate) length: Length,
    pub(crate) sent: Instant,
    pub(crate) random: f64,
}

impl Member {
    /// Benches what a refusal of a request with this key names.
    pub(crate) fn refuse(
        &self,
        refusal: &Refusal,
        key: &Fingerprint,
        model: &Arc<str>,
        now: Instant,
    ) {
        let mut state = self.lock();
        self.bench(&mut state, refusal, key, model, now);
        let heir = self.heir.of(self);
        drop(state);
        if let Some(heir) = heir {
            heir.refuse(refusal, key, model, now);
        }
    }

    fn bench(
        &self,
        state: &mut State,
        refusal: &Refusal,
        key: &Fingerprint,
        model: &Arc<str>,
        now: Instant,
    ) {
        let bench = match refusal.target {
            Target::Key => match self.place(key) {
                Some(place) => state.keys[place]
                    .bench
                    .get_or_insert(Bench::over(refusal.sent)),
                None => return, // removed meanwhile
            },
            Target::Account => state.account.get_or_insert(Bench::over(refusal.sent)),
            Target::Model => {
                state.models.retain(|_, bench| !bench.is_forgotten(now));
                state
                    .models
                    .entry(Arc::clone(model))
                    .or_insert(Bench::over(refusal.sent))
            }
        };
        bench.refuse(
            refusal.kind,
            refusal.length,
            refusal.sent,
            now,
            refusal.random,
        );
        if matches!(refusal.length, Length::OpenEnded(_)) {
            self.lasting.store(true, Ordering::Release);
        }
    }
}
