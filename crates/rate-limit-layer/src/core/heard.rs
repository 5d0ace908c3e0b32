//! What answers teach: refusals, their absence, and what the upstream says is left.

use throttle_signal::{Kind, Wait};

use super::{Core, Reservation, SECOND};
use crate::headers::Left;
use crate::{Limit, num};

impl Core {
    /// An answer came that is not a refusal.
    pub(crate) fn answered(&mut self, now: u64, reservation: &Reservation) {
        let now = self.clock(now);
        self.streak = 0;
        self.room.answered();
        self.learn(now, reservation.at, false);
    }

    /// A request sent with `reservation` was refused. Returns whether it is held back for that.
    pub(crate) fn refused(
        &mut self,
        now: u64,
        reservation: &Reservation,
        kind: Kind,
        wait: Wait,
    ) -> bool {
        let now = self.clock(now);
        match kind {
            Kind::RequestRate | Kind::TokenRate | Kind::Burst => {}
            Kind::QuotaExhausted => {
                if let Some(wait) = wait.known() {
                    self.closed_until = self.closed_until.max(now.saturating_add(num::nanos(wait)));
                }
                return false;
            }
            Kind::Concurrency => {
                self.room.refused(self.in_flight);
                return false;
            }
            _ => return false,
        }
        let tokens = kind == Kind::TokenRate;
        let unit = usize::from(tokens);
        let until = match wait {
            Wait::Stated(wait) => num::nanos(wait),
            Wait::Typical(wait) if kind == Kind::Burst => num::nanos(wait),
            guess => {
                // Those of one moment are one refusal: only what was sent since counts as another.
                if reservation.at >= self.frozen[unit] {
                    self.streak = self.streak.saturating_add(1);
                }
                // A guess is where to begin. If it does not pass, a longer window is full.
                let slot = self.slot(tokens);
                let grown = slot << (2 * self.streak.saturating_sub(1)).min(20);
                grown.min(
                    guess
                        .known()
                        .map_or(SECOND, num::nanos)
                        .max(self.plan.longest() / 4),
                )
            }
        };
        self.frozen[unit] = self.frozen[unit].max(now.saturating_add(until));
        if kind == Kind::Burst {
            self.ramp.begin(self.frozen[unit]);
        } else if self.counts(tokens) {
            self.learn(now, reservation.at, true);
        }
        true
    }

    /// Takes note of what the upstream says is left. It may only lower what there is.
    pub(crate) fn told(&mut self, now: u64, left: &Left) {
        let now = self.clock(now);
        let Some(remaining) = left.remaining else {
            return;
        };
        // The window it speaks of, or else the longest: it is the one that runs out.
        let limits = self.plan.limits().iter().enumerate();
        let of_unit = limits.filter(|(_, limit)| limit.unit() == left.unit);
        let fits =
            |limit: &Limit| Some(limit.window()) == left.window || Some(limit.most()) == left.limit;
        let Some((index, limit)) = of_unit.max_by_key(|(_, limit)| (fits(limit), limit.nanos()))
        else {
            return;
        };
        if let (Some(window), Some(bound)) = (self.windows.get_mut(index), self.bounds.get(index)) {
            let until =
                now.saturating_add(left.reset.map_or(bound.span, num::nanos).min(bound.span));
            window.raise(now, limit.most().saturating_sub(remaining), until, bound);
        }
    }

    /// Time between two requests at the full rate: how long a refusal without a reason holds back.
    fn slot(&self, tokens: bool) -> u64 {
        let limits = self
            .plan
            .limits()
            .iter()
            .filter(|limit| limit.unit().is_tokens() == tokens);
        let slots = limits.map(|limit| {
            let parts = if tokens { 50 } else { limit.most() };
            limit.nanos() / parts
        });
        slots
            .max()
            .unwrap_or(SECOND / 10)
            .clamp(SECOND / 100, SECOND)
    }

    fn learn(&mut self, now: u64, sent: u64, refused: bool) {
        if !self.windows.is_empty()
            && self.control.learn(
                now,
                sent,
                refused,
                self.plan.settings.guard,
                self.plan.shortest(),
            )
        {
            self.bounds = self.plan.bounds(&self.control);
        }
    }
}
