use std::collections::BTreeMap;
use std::time::Duration;

use super::ask::Ask;
use super::charging::Charging;
use super::log::Log;
use super::meter::Meter;
use super::quota::Limits;
use super::refusal::{Refusal, RefusalKind};
use super::stranger::{left, next_change};
use super::tally::{Tally, WindowTally};
use super::usage::Usage;
use super::window::{Counting, Unit, Window, nanos};

/// The limits of one account and one model at work, in whatever time the caller lives.
///
/// Time is a [`Duration`] since a zero that the caller chooses, and never goes back: an earlier
/// `now` than the last one counts as the last one.
///
/// # Example
///
/// An hour of virtual time takes no time at all:
///
/// ```
/// use std::time::Duration;
///
/// use model_studio_sim::{Ask, Limits, Partition, RefusalKind, Usage};
///
/// let mut partition = Partition::new(Limits::per_minute(600).per_second(10));
/// let at = Duration::from_secs(3600);
/// for _ in 0..10 {
///     let ticket = partition.arrive(at, Ask::new(20, 100))?;
///     partition.finish(at, ticket, Usage::new(20, 80));
/// }
/// let refusal = partition.arrive(at, Ask::new(20, 100)).unwrap_err();
/// assert_eq!(refusal.kind, RefusalKind::RequestRate);
/// assert_eq!(partition.wait(at, Ask::new(20, 100)), Some(Duration::from_secs(1)));
/// # Ok::<(), model_studio_sim::Refusal>(())
/// ```
#[derive(Clone, Debug)]
pub struct Partition {
    pub(super) limits: Limits,
    pub(super) meters: Vec<Meter>,
    /// What was admitted: one span a window, then two for the growth limit.
    pub(super) admitted: Log,
    /// What was refused and counts all the same.
    pub(super) refused: Log,
    now: u64,
    requests: u64,
    tokens: u64,
    refusals: BTreeMap<RefusalKind, u64>,
}

/// An admitted request, to be handed back to [`Partition::finish`] of the partition it came from.
///
/// Dropped instead, the request keeps what it was charged on arrival and is charged no more.
#[derive(Debug)]
#[must_use = "an unfinished request is never charged for its answer"]
pub struct Ticket {
    at: u64,
    number: u64,
    charged: u64,
}

impl Partition {
    /// Nothing used yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let spans = |limits: &Limits| -> Vec<_> {
            let windows = limits.windows.iter();
            windows.map(|window| (window.unit, window.length)).collect()
        };
        let growth = limits.growth.iter().flat_map(|growth| {
            let twice = growth.interval.saturating_mul(2);
            [(Unit::Requests, growth.interval), (Unit::Requests, twice)]
        });
        Self {
            meters: limits.windows.iter().map(Meter::new).collect(),
            admitted: Log::new(spans(&limits).into_iter().chain(growth)),
            refused: Log::new(spans(&limits)),
            now: 0,
            requests: 0,
            tokens: 0,
            refusals: BTreeMap::new(),
            limits,
        }
    }

    /// A request arrives: all windows take its cost, or none does.
    ///
    /// # Errors
    ///
    /// What refused it. Nothing was taken, save where the limits count refused requests.
    pub fn arrive(&mut self, now: Duration, ask: Ask) -> Result<Ticket, Refusal> {
        let now = self.advance(now);
        if let Some(refusal) = self.verdict(now, ask) {
            if self.limits.count_refused {
                self.count_refused(now);
            }
            self.refuse(refusal.kind);
            return Err(refusal);
        }

        let charged = self.limits.charging.up_front(ask);
        for (window, meter) in self.limits.windows.iter().zip(&mut self.meters) {
            meter.take(window, cost(window, charged));
        }
        self.requests += 1;
        let number = self.admitted.push(now, 1, charged);
        Ok(Ticket {
            at: now,
            number,
            charged,
        })
    }

    /// An admitted request is over, having used `usage`. What that costs depends on the
    /// [`Charging`].
    #[expect(clippy::needless_pass_by_value, reason = "a request is over once")]
    pub fn finish(&mut self, now: Duration, ticket: Ticket, usage: Usage) {
        let Ticket {
            at,
            number,
            charged,
        } = ticket;
        let now = self.advance(now);
        self.tokens = self.tokens.saturating_add(usage.total());
        match self.limits.charging {
            Charging::MaxUpFront => {}
            Charging::MaxThenRefund => {
                self.correct(at, charged, usage.total());
                self.admitted.correct(number, usage.total());
            }
            Charging::PromptThenRest => self.charge(now, usage.completion_tokens),
            Charging::AtEnd => self.charge(now, usage.total()),
        }
    }

    /// Counts a refusal that was decided elsewhere. No window takes anything.
    pub fn refuse(&mut self, kind: RefusalKind) {
        *self.refusals.entry(kind).or_default() += 1;
    }

    /// What has happened so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let windows = self.limits.windows.iter().enumerate();
        Tally {
            requests: self.requests,
            tokens: self.tokens,
            refused: self.refusals.clone(),
            windows: windows
                .map(|(index, window)| WindowTally {
                    unit: window.unit,
                    limit: window.limit,
                    seconds: window.length().as_secs_f64(),
                    counting: window.counting,
                    highest: self.admitted.highest(index),
                })
                .collect(),
        }
    }

    /// Brings everything to `now`, through every change of what strangers take.
    pub(super) fn advance(&mut self, now: Duration) -> u64 {
        let now = nanos(now).max(self.now);
        let Limits {
            windows, strangers, ..
        } = &self.limits;
        while let Some(change) = next_change(strangers, self.now, now) {
            for (window, meter) in windows.iter().zip(&mut self.meters) {
                // What was left up to the change is what was left just before it.
                let left = |units| left(strangers, units, change - 1);
                meter.advance(window, change, left(window.limit), left(depth(window)));
            }
            self.now = change;
        }
        for (window, meter) in windows.iter().zip(&mut self.meters) {
            let left = |units| left(strangers, units, now);
            meter.advance(window, now, left(window.limit), left(depth(window)));
        }
        self.now = now;
        self.admitted.forget(now);
        self.refused.forget(now);
        now
    }

    pub(super) fn verdict(&self, now: u64, ask: Ask) -> Option<Refusal> {
        if self
            .limits
            .free_tokens
            .is_some_and(|free| self.tokens >= free)
        {
            return Some(Refusal {
                kind: RefusalKind::FreeQuota,
                window: None,
            });
        }
        self.full_window(now, ask).or_else(|| self.too_quick())
    }

    fn full_window(&self, now: u64, ask: Ask) -> Option<Refusal> {
        let charged = self.limits.charging.up_front(ask);
        let mut worst: Option<(usize, &Window)> = None;
        for (index, window) in self.limits.windows.iter().enumerate() {
            let fits = self.meters.get(index).is_none_or(|meter| {
                let limit = left(&self.limits.strangers, window.limit, now);
                let logged = self
                    .admitted
                    .used(index)
                    .saturating_add(self.refused.used(index));
                // Nothing to charge yet: passes while anything is left.
                meter.fits(window, now, limit, logged, cost(window, charged).max(1))
            });
            if !fits && worst.is_none_or(|(_, longest)| window.length > longest.length) {
                worst = Some((index, window));
            }
        }
        worst.map(|(index, window)| Refusal {
            kind: match window.unit {
                Unit::Requests => RefusalKind::RequestRate,
                Unit::Tokens => RefusalKind::TokenRate,
            },
            window: Some(index),
        })
    }

    fn too_quick(&self) -> Option<Refusal> {
        let growth = self.limits.growth?;
        let spans = self.limits.windows.len();
        let now = self.admitted.used(spans);
        let before = self.admitted.used(spans + 1) - now;
        (now >= growth.allowed(before)).then_some(Refusal {
            kind: RefusalKind::Burst,
            window: None,
        })
    }

    fn count_refused(&mut self, now: u64) {
        for (window, meter) in self.limits.windows.iter().zip(&mut self.meters) {
            if window.unit == Unit::Requests {
                meter.take_refused(window);
            }
        }
        self.refused.push(now, 1, 0);
    }

    fn charge(&mut self, now: u64, tokens: u64) {
        if tokens == 0 || !self.limits.counts_tokens() {
            return;
        }
        for (window, meter) in self.limits.windows.iter().zip(&mut self.meters) {
            if window.unit == Unit::Tokens {
                meter.take(window, tokens);
            }
        }
        self.admitted.push(now, 0, tokens);
    }

    fn correct(&mut self, at: u64, before: u64, after: u64) {
        for (window, meter) in self.limits.windows.iter().zip(&mut self.meters) {
            if window.unit == Unit::Tokens {
                meter.correct(window, at, before, after);
            }
        }
    }
}

pub(super) fn cost(window: &Window, tokens: u64) -> u64 {
    match window.unit {
        Unit::Requests => 1,
        Unit::Tokens => tokens,
    }
}

pub(super) fn depth(window: &Window) -> u64 {
    match window.counting {
        Counting::Bucket { depth } => depth,
        _ => window.limit,
    }
}
