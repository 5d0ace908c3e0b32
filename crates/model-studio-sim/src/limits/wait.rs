use std::time::Duration;

use super::ask::Ask;
use super::meter::Meter;
use super::partition::{Partition, cost, depth};
use super::stranger::{left, next_change};

/// More windows and changes than anyone has.
const MAX_STEPS: usize = 64;

impl Partition {
    /// How long after `now` the same request would pass if nothing else arrived: 0 if at once,
    /// `None` if never. Burst protection has no such time that it would tell.
    pub fn wait(&mut self, now: Duration, ask: Ask) -> Option<Duration> {
        let now = self.advance(now);
        let mut future = self.clone();
        let mut at = now;
        // Every step passes one window's earliest time; more steps than windows happen only where
        // strangers come and go.
        for _ in 0..MAX_STEPS {
            let Some(refusal) = future.verdict(at, ask) else {
                return Some(Duration::from_nanos(at - now));
            };
            at = future.earliest(refusal.window?, at, ask)?;
            at = future.advance(Duration::from_nanos(at));
        }
        None
    }

    /// A time after `now` before which window `index` surely has no room for `ask`.
    fn earliest(&self, index: usize, now: u64, ask: Ask) -> Option<u64> {
        let window = self.limits.windows.get(index)?;
        let limit = left(&self.limits.strangers, window.limit, now);
        let cost = cost(window, self.limits.charging.up_front(ask)).max(1);
        let step = next_change(&self.limits.strangers, now, u64::MAX);
        let at = match self.meters.get(index)? {
            Meter::Sliding => {
                let refused = self.refused.used(index);
                let mut used = self.admitted.used(index).saturating_add(refused);
                let mut gone: Vec<_> = self.admitted.inside(index).collect();
                gone.extend(self.refused.inside(index));
                gone.sort_unstable();
                gone.into_iter().find_map(|(at, amount)| {
                    used = used.saturating_sub(amount);
                    (used.saturating_add(cost) <= limit).then(|| at.saturating_add(window.length))
                })
            }
            Meter::Fixed { .. } => {
                (cost <= limit).then(|| now.saturating_add(window.length - window.place(now).1))
            }
            Meter::Counter {
                current, previous, ..
            } => {
                let (_, into) = window.place(now);
                let length = u128::from(window.length);
                let over = u128::from(current.saturating_add(cost));
                match u128::from(limit).checked_sub(over) {
                    // previous × (length − into) ≤ (limit − current − cost) × length
                    Some(room) => {
                        let covered = (room * length).checked_div(u128::from(*previous));
                        let free = length.saturating_sub(covered.unwrap_or(length));
                        let free = u64::try_from(free).unwrap_or(window.length);
                        Some(now.saturating_add(free.saturating_sub(into)))
                    }
                    None => (cost <= limit).then(|| now.saturating_add(window.length - into)),
                }
            }
            Meter::Bucket { level, .. } => {
                let full = i128::from(cost).saturating_mul(i128::from(window.length));
                let need = full.saturating_sub(*level);
                let fits = cost <= left(&self.limits.strangers, depth(window), now) && limit > 0;
                let limit = i128::from(limit);
                fits.then(|| need.div_euclid(limit) + i128::from(need.rem_euclid(limit) > 0))
                    .and_then(|wait| u64::try_from(wait).ok())
                    .map(|wait| now.saturating_add(wait))
            }
        };
        match (at.map(|at| at.max(now.saturating_add(1))), step) {
            (Some(at), Some(step)) => Some(at.min(step)),
            (at, step) => at.or(step),
        }
    }
}
