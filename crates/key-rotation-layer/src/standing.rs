use throttle_signal::Kind;
use tokio::time::Instant;

use crate::bench::{Bench, Gate};
use crate::member::{Member, State};
use crate::tried::Tried;

/// What an account is good for now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Standing {
    /// It can take a request with this key. `busy` if the key is not proven and serves one already.
    Usable { key: usize, busy: bool },
    /// Not before this moment, because of this.
    Shut { until: Instant, kind: Kind },
    /// Every key of it was asked already.
    Asked,
    /// Disabled.
    Off,
}

impl Member {
    /// Whether the account is usable for `model`, and how.
    pub(crate) fn standing(
        &self,
        state: &State,
        model: &str,
        tried: &Tried,
        now: Instant,
    ) -> Standing {
        if !state.enabled {
            return Standing::Off;
        }
        let mut shut = None;
        for bench in state.account.iter().chain(state.models.get(model)) {
            shut = later(shut, bench, now);
        }
        let mut best: Option<(bool, u64, usize)> = None;
        let mut first_back: Option<(Instant, Kind)> = None;
        for (index, key) in state.keys.iter().enumerate() {
            if tried.has_key(self.keys[index].fingerprint()) {
                continue;
            }
            match key.bench.as_ref().and_then(|bench| later(None, bench, now)) {
                None => {
                    let candidate = (!key.proven && key.in_flight > 0, key.last_used, index);
                    best = Some(best.map_or(candidate, |best| best.min(candidate)));
                }
                Some(back) => {
                    first_back = Some(first_back.map_or(back, |first| min_by_time(first, back)));
                }
            }
        }
        match (shut, best, first_back) {
            (None, Some((busy, _, key)), _) => Standing::Usable { key, busy },
            (Some((until, kind)), Some(_), _) | (None, None, Some((until, kind))) => {
                Standing::Shut { until, kind }
            }
            (Some(shut), None, Some(back)) => {
                let (until, kind) = if back.0 > shut.0 { back } else { shut };
                Standing::Shut { until, kind }
            }
            (_, None, None) => Standing::Asked,
        }
    }
}

fn later(shut: Option<(Instant, Kind)>, bench: &Bench, now: Instant) -> Option<(Instant, Kind)> {
    match (bench.gate(now), shut) {
        (Gate::Shut(until), Some((latest, _))) if until <= latest => shut,
        (Gate::Shut(until), _) => Some((until, bench.kind())),
        (Gate::Open | Gate::Probe, _) => shut,
    }
}

fn min_by_time(a: (Instant, Kind), b: (Instant, Kind)) -> (Instant, Kind) {
    if b.0 < a.0 { b } else { a }
}
