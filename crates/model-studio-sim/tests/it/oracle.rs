//! The limits again, written as plainly as can be: every question is answered from the whole
//! history.

use std::time::Duration;

use model_studio_sim::{Ask, Charging, Counting, Growth, Limits, RefusalKind, Stranger, Window};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    pub(crate) tokens: bool,
    pub(crate) limit: u64,
    pub(crate) length: u64,
    pub(crate) counting: Counting,
    pub(crate) phase: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) windows: Vec<Rule>,
    pub(crate) charging: Charging,
    pub(crate) count_refused: bool,
    /// Floor, percent, interval.
    pub(crate) growth: Option<(u64, u32, u64)>,
    /// From, until, percent.
    pub(crate) strangers: Vec<(u64, u64, u32)>,
}

pub(crate) fn ns(nanos: u64) -> Duration {
    Duration::from_nanos(nanos)
}

impl Rules {
    pub(crate) fn limits(&self) -> Limits {
        let mut limits = Limits::unlimited()
            .charging(self.charging)
            .count_refused(self.count_refused);
        for rule in &self.windows {
            let window = if rule.tokens {
                Window::tokens(rule.limit, ns(rule.length))
            } else {
                Window::requests(rule.limit, ns(rule.length))
            };
            limits = limits.window(window.counting(rule.counting).phase(ns(rule.phase)));
        }
        if let Some((floor, percent, interval)) = self.growth {
            limits = limits.growth(Growth::new(floor, percent, ns(interval)));
        }
        for &(from, until, percent) in &self.strangers {
            limits = limits.stranger(Stranger::new(ns(from), ns(until), percent));
        }
        limits
    }

    fn left(&self, limit: u64, now: u64) -> u64 {
        let here = self
            .strangers
            .iter()
            .filter(|(from, until, _)| (*from..*until).contains(&now));
        let taken: u64 = here.map(|(_, _, percent)| u64::from(*percent)).sum();
        limit * (100 - taken.min(100)) / 100
    }
}

/// Something that happened, in order.
#[derive(Clone, Copy, Debug)]
struct Event {
    at: u64,
    requests: u64,
    tokens: u64,
    /// Before it was corrected.
    tokens_at_first: u64,
    refused: bool,
    /// Given back to a bucket at this time, having been charged to the others at another.
    refund: i64,
}

#[derive(Clone, Debug)]
pub(crate) struct Oracle {
    rules: Rules,
    events: Vec<Event>,
    pub(crate) highest: Vec<u64>,
}

/// An admitted request: when, which event, what it was charged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Open {
    event: usize,
    charged: u64,
}

impl Oracle {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            highest: vec![0; rules.windows.len()],
            events: Vec::new(),
            rules,
        }
    }

    pub(crate) fn arrive(&mut self, now: u64, ask: Ask) -> Result<Open, RefusalKind> {
        let charged = match self.rules.charging {
            Charging::MaxUpFront | Charging::MaxThenRefund => ask.prompt_tokens + ask.max_tokens,
            Charging::PromptThenRest => ask.prompt_tokens,
            _ => 0,
        };
        let event = Event {
            at: now,
            requests: 1,
            tokens: charged,
            tokens_at_first: charged,
            refused: false,
            refund: 0,
        };
        if let Some(kind) = self.verdict(now, charged) {
            if self.rules.count_refused {
                self.events.push(Event {
                    tokens: 0,
                    tokens_at_first: 0,
                    refused: true,
                    ..event
                });
            }
            return Err(kind);
        }
        self.record(event);
        Ok(Open {
            event: self.events.len() - 1,
            charged,
        })
    }

    pub(crate) fn finish(&mut self, now: u64, open: Open, prompt: u64, completion: u64) {
        let late = |tokens| Event {
            at: now,
            requests: 0,
            tokens,
            tokens_at_first: tokens,
            refused: false,
            refund: 0,
        };
        match self.rules.charging {
            Charging::MaxThenRefund => {
                self.events[open.event].tokens = prompt + completion;
                let refund = i64::try_from(open.charged).unwrap()
                    - i64::try_from(prompt + completion).unwrap();
                self.record(Event { refund, ..late(0) });
            }
            Charging::PromptThenRest => self.record(late(completion)),
            Charging::AtEnd => self.record(late(prompt + completion)),
            _ => {}
        }
    }

    fn record(&mut self, event: Event) {
        self.events.push(event);
        for (index, rule) in self.rules.windows.iter().enumerate() {
            let inside = self.inside(rule, |at| at + rule.length > event.at, false);
            self.highest[index] = self.highest[index].max(inside);
        }
    }

    /// What was charged at times that `when` picks, refused requests included or not.
    fn inside(&self, rule: &Rule, when: impl Fn(u64) -> bool, refused: bool) -> u64 {
        let picked = self.events.iter().filter(|event| when(event.at));
        picked
            .filter(|event| refused || !event.refused)
            .map(|event| {
                if rule.tokens {
                    event.tokens
                } else {
                    event.requests
                }
            })
            .sum()
    }

    fn verdict(&self, now: u64, charged: u64) -> Option<RefusalKind> {
        let full = self.rules.windows.iter().filter(|rule| {
            let cost = if rule.tokens { charged.max(1) } else { 1 };
            !self.fits(rule, now, cost)
        });
        // The first of the longest.
        let longest = full.fold(None::<&Rule>, |longest, rule| match longest {
            Some(longest) if longest.length >= rule.length => Some(longest),
            _ => Some(rule),
        });
        if let Some(rule) = longest {
            return Some(if rule.tokens {
                RefusalKind::TokenRate
            } else {
                RefusalKind::RequestRate
            });
        }
        let (floor, percent, interval) = self.rules.growth?;
        let passed = |from: u64, until: u64| {
            let events = self.events.iter().filter(|event| !event.refused);
            let ages = events.map(|event| (now - event.at, event.requests));
            ages.filter(|(age, _)| (from..until).contains(age))
                .map(|(_, requests)| requests)
                .sum::<u64>()
        };
        let allowed = floor.max(passed(interval, 2 * interval) * u64::from(percent) / 100);
        (passed(0, interval) + 1 > allowed).then_some(RefusalKind::Burst)
    }

    fn fits(&self, rule: &Rule, now: u64, cost: u64) -> bool {
        let limit = self.rules.left(rule.limit, now);
        let index = |at: u64| (at + rule.phase) / rule.length;
        let current = || self.inside(rule, |at| index(at) == index(now), true);
        match rule.counting {
            Counting::Sliding => {
                self.inside(rule, |at| at + rule.length > now, true) + cost <= limit
            }
            Counting::Fixed => current() + cost <= limit,
            Counting::Counter => {
                let before = self.inside(rule, |at| index(at) + 1 == index(now), true);
                let into = (now + rule.phase) % rule.length;
                let weighted = u128::from(before) * u128::from(rule.length - into);
                weighted + u128::from(current() + cost) * u128::from(rule.length)
                    <= u128::from(limit) * u128::from(rule.length)
            }
            Counting::Bucket { depth } => {
                self.level(rule, now, depth) >= i128::from(cost) * i128::from(rule.length)
            }
            _ => unreachable!(),
        }
    }

    /// What a bucket holds, filled and emptied all over again.
    fn level(&self, rule: &Rule, now: u64, depth: u64) -> i128 {
        let length = i128::from(rule.length);
        let full = |at| i128::from(self.rules.left(depth, at)) * length;
        let changes = self
            .rules
            .strangers
            .iter()
            .flat_map(|(from, until, _)| [*from, *until]);
        let mut stops: Vec<_> = changes.filter(|at| *at <= now).collect();
        stops.sort_unstable();
        stops.dedup();

        let (mut level, mut last) = (i128::from(depth) * length, 0);
        let mut reach = |level: i128, at: u64| {
            let mut level = level;
            while let Some(stop) = stops.first().copied().filter(|stop| *stop <= at) {
                if stop > last {
                    let rate = i128::from(self.rules.left(rule.limit, stop - 1));
                    level = (level + i128::from(stop - last) * rate).min(full(stop - 1));
                    last = stop;
                }
                stops.remove(0);
            }
            let rate = i128::from(self.rules.left(rule.limit, at));
            level = (level + i128::from(at - last) * rate).min(full(at));
            last = at;
            level
        };
        for event in &self.events {
            level = reach(level, event.at);
            let amount = if rule.tokens {
                event.tokens_at_first
            } else {
                event.requests
            };
            if event.refused {
                if !rule.tokens {
                    level = level.min((level - length).max(0));
                }
            } else if rule.tokens && event.refund != 0 {
                level = (level + i128::from(event.refund) * length).min(full(event.at));
            } else {
                level -= i128::from(amount) * length;
            }
        }
        reach(level, now)
    }
}
