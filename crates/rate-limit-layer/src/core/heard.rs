//! What answers teach: refusals, their absence, and what the upstream says is left.

use throttle_signal::{Kind, Wait};

use super::learned::Learned;
use super::{Core, Reservation, SECOND, bounds};
use crate::control::Guard;
use crate::headers::Left;
use crate::limit::LONGEST;
use crate::{Limit, num};

impl Core {
    /// An answer came that is not a refusal.
    pub(crate) fn answered(&mut self, now: u64, reservation: &Reservation) {
        let now = self.clock(now);
        if let Some(learned) = &mut self.learned {
            learned.streak = 0;
            learned.room.answered();
        }
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
        let wait = match wait.known() {
            Some(known) if known > LONGEST => Wait::Unknown,
            _ => wait,
        };
        match kind {
            Kind::RequestRate | Kind::TokenRate | Kind::Burst => {
                self.freeze(now, reservation, kind, wait);
                self.tell();
                true
            }
            Kind::QuotaExhausted => {
                if let Some(wait) = wait.known() {
                    let until = now.saturating_add(num::nanos(wait));
                    let closed = &mut self.learned().closed_until;
                    *closed = until.max(*closed);
                    self.tell();
                }
                false
            }
            Kind::Concurrency => {
                let in_flight = self.in_flight;
                self.learned().room.refused(in_flight);
                false
            }
            _ => false,
        }
    }

    /// Holds back what was refused until the wait is over, and learns from it.
    fn freeze(&mut self, now: u64, reservation: &Reservation, kind: Kind, wait: Wait) {
        let tokens = kind == Kind::TokenRate;
        let slot = slot(self.plan.limits(), tokens);
        let longest = self.plan.longest();
        let learned = self.learned();
        let frozen = learned.frozen[usize::from(tokens)];
        let wait = match wait {
            Wait::Stated(wait) => num::nanos(wait),
            Wait::Typical(wait) if kind == Kind::Burst => num::nanos(wait),
            guess => {
                // Those of one moment are one refusal: only what was sent since counts as another.
                if reservation.at >= frozen {
                    learned.streak = learned.streak.saturating_add(1);
                }
                // A guess is where to begin. If it does not pass, a longer window is full.
                let grown = slot << (2 * learned.streak.saturating_sub(1)).min(20);
                let typical = guess.known().map_or(SECOND, num::nanos);
                grown.min(typical.max(longest / 4))
            }
        };
        let until = frozen.max(now.saturating_add(wait));
        learned.frozen[usize::from(tokens)] = until;
        if kind == Kind::Burst {
            learned.ramp.begin(until);
        } else if self.counts(tokens) {
            self.learn(now, reservation.at, true);
        }
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
        let bound = bounds(&self.plan, self.learned.as_deref()).get(index);
        if let (Some(window), Some(bound)) = (self.windows.get_mut(index), bound) {
            let until =
                now.saturating_add(left.reset.map_or(bound.span, num::nanos).min(bound.span));
            window.raise(now, limit.most().saturating_sub(remaining), until, bound);
        }
    }

    /// Has others hear of a refusal.
    #[cfg_attr(
        not(feature = "redis"),
        allow(clippy::unused_self, reason = "there are no others")
    )]
    fn tell(&mut self) {
        #[cfg(feature = "redis")]
        if let Some((member, _)) = self.member_mut() {
            member.refused();
        }
    }

    fn learn(&mut self, now: u64, sent: u64, refused: bool) {
        if self.windows.is_empty() {
            return;
        }
        let guard = self.plan.settings.guard;
        let before = (self.control.notch(), self.scale());
        let is_foreign = self.control.note(refused);
        let is_down = |learned: &Learned| learned.scale.is_down();
        if self.learned.as_deref().is_some_and(is_down) || is_foreign {
            let scale = &mut self.learned().scale;
            let was_down = scale.is_down();
            scale.learn(now, sent, refused);
            if !was_down && scale.is_down() && guard == Guard::Learned {
                self.control.forgive();
            }
        } else if guard == Guard::Learned {
            self.control.track(refused, self.plan.shortest());
        }
        if before != (self.control.notch(), self.scale()) {
            self.rebound();
        }
    }
}

/// Time between two requests at the full rate: how long a refusal without a reason holds back.
fn slot(limits: &[Limit], tokens: bool) -> u64 {
    let limits = limits
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
