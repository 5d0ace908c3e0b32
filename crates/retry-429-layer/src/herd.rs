use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::budget::{Budget, Claim};

/// The longest and the shortest distance between two that come back.
const WIDEST: Duration = Duration::from_millis(100);
const NARROWEST: Duration = Duration::from_millis(1);

/// How late a waiter may ask before it counts as not polled.
const SLACK: Duration = Duration::from_millis(10);

/// How often a waiter looks whether the budget has grown meanwhile: at half the time it would take
/// by itself, within these bounds.
const LOOK: Duration = Duration::from_millis(250);
const LOOK_AT_LEAST: Duration = Duration::from_secs(2);

/// All requests of a layer that were told to wait, so that those of one partition do not come back
/// together: they come one after another, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Herd {
    flocks: Mutex<HashMap<u64, Flock>>,
}

/// Those of one partition.
#[derive(Debug)]
struct Flock {
    // By arrival, then by number.
    waiting: BTreeMap<Place, Waiter>,
    // The most there were at once.
    peak: u32,
    next: Instant,
    numbers: u64,
}

#[derive(Debug)]
struct Waiter {
    // When it will ask, first when it was told to come back. One that does not is not being polled, and holds nobody up.
    asks: Instant,
    // It has asked, and waits for nothing but its turn.
    in_line: bool,
}

impl Waiter {
    /// Whether it stands before a younger one: in line, or about to be.
    fn is_ahead(&self, now: Instant) -> bool {
        (self.in_line || self.asks <= now) && self.asks + SLACK >= now
    }
}

type Place = (Instant, u64);

/// What a retry was paid with.
pub(crate) type Used = (Arc<dyn Budget>, Claim);

/// One request's place in the herd. Dropped, the place is free and its claim refunded.
#[derive(Debug)]
pub(crate) struct Turn {
    herd: Arc<Herd>,
    partition: u64,
    place: Place,
    at: Instant,
    latest: Option<Instant>,
    wait: Duration,
    claim: Option<Used>,
}

impl Herd {
    /// Takes a place for a request of `partition` that arrived then, is to come back at `at`, and must
    /// by `latest`.
    pub(crate) fn enter(
        self: &Arc<Self>,
        partition: u64,
        arrived: Instant,
        now: Instant,
        at: Instant,
        latest: Option<Instant>,
        claim: Option<Used>,
    ) -> Turn {
        let mut flocks = self.lock();
        let flock = flocks.entry(partition).or_insert_with(|| Flock {
            waiting: BTreeMap::new(),
            peak: 0,
            next: now,
            numbers: 0,
        });
        flock.numbers = flock.numbers.wrapping_add(1);
        let place = (arrived, flock.numbers);
        flock.waiting.insert(
            place,
            Waiter {
                asks: at,
                in_line: false,
            },
        );
        flock.peak = flock.peak.saturating_add(1);
        Turn {
            herd: Arc::clone(self),
            partition,
            place,
            at,
            latest,
            wait: at.saturating_duration_since(now),
            claim,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Flock>> {
        // Nothing panics while holding it.
        self.flocks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// When to ask first.
    pub(crate) fn at(&self) -> Instant {
        self.at
    }

    /// Asks for the turn: `Ok` if it is there, with the claim that was used, else when to ask again.
    pub(crate) fn ask(&mut self, now: Instant) -> Result<Option<Used>, Instant> {
        // It was in time by its own wait; that others wait as well does not make it late.
        if self.latest.is_some_and(|latest| now >= latest) {
            return Ok(self.claim.take());
        }
        let early = if now < self.at {
            Some(self.at)
        } else {
            self.covered(now)
        };
        let mut flocks = self.herd.lock();
        let Some(flock) = flocks.get_mut(&self.partition) else {
            drop(flocks);
            return Ok(self.claim.take());
        };
        let again = match early {
            Some(again) => again,
            None => match flock.turn(self.place, self.wait, now) {
                Some(again) => again,
                None => return Ok(self.claim.take()),
            },
        };
        let again = self.latest.map_or(again, |latest| again.min(latest));
        if let Some(waiter) = flock.waiting.get_mut(&self.place) {
            waiter.asks = again;
            waiter.in_line = early.is_none();
        }
        Err(again)
    }

    /// When to look again whether the claim is covered; `None` if it is, or nothing was claimed.
    fn covered(&self, now: Instant) -> Option<Instant> {
        let (budget, claim) = self.claim.as_ref()?;
        let due = budget.due(claim, now).unwrap_or(now + LOOK_AT_LEAST);
        let left = due.saturating_duration_since(now);
        let look = (left / 2).clamp(LOOK, LOOK_AT_LEAST);
        (!left.is_zero()).then(|| due.min(now + look))
    }
}

impl Flock {
    /// When to ask again; `None` if it is this one's turn.
    fn turn(&mut self, place: Place, wait: Duration, now: Instant) -> Option<Instant> {
        let distance = (wait / self.peak.max(1)).clamp(NARROWEST, WIDEST);
        // Older ones go first. Those that were told to wait longer, whom the budget holds, or that do
        // not ask, hold nobody up.
        let mut ahead = 0_u32;
        let mut asks = now;
        for (_, one) in self.waiting.range(..place) {
            if one.is_ahead(now) {
                ahead = ahead.saturating_add(1);
                asks = one.asks;
            }
        }
        if ahead == 0 && now >= self.next {
            self.next = now + distance;
            return None;
        }
        let turn = self.next.max(now)
            + distance
                .saturating_mul(ahead)
                .clamp(NARROWEST, LOOK_AT_LEAST);
        // The next in line sees for itself whether the one before it asks.
        Some(if ahead == 1 {
            turn.min(asks + SLACK + NARROWEST)
        } else {
            turn
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut flocks = self.herd.lock();
        if let Some(flock) = flocks.get_mut(&self.partition) {
            flock.waiting.remove(&self.place);
            if flock.waiting.is_empty() {
                flocks.remove(&self.partition);
            }
        }
        drop(flocks);
        if let Some((budget, claim)) = self.claim.take() {
            budget.refund(claim);
        }
    }
}
