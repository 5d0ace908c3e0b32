use std::time::Duration;

use throttle_signal::Kind;
use tokio::time::Instant;

use crate::term::Length;

/// Refusals come fast. A probe not refused for this long keeps nobody else out, though its answer
/// may take another minute to be generated.
pub(crate) const PROBE: Duration = Duration::from_secs(1);

/// What somebody has to do something about is not over because a probe is slow: it may wait in the
/// queue of a limiter. Not answered for this long, the next one goes, alone again.
const NEXT_PROBE: Duration = Duration::from_secs(60);

/// The ladder of guessed waits: the first up to a second, then doubling, up to a minute.
const LADDER: Duration = Duration::from_secs(1);
const LADDER_TOP: Duration = Duration::from_secs(60);

/// How long after its end a bench is remembered: refused again sooner, the ladder goes on.
const MEMORY: Duration = Duration::from_secs(60);

/// How long after its time a bench is remembered that nobody asked about. Names of models may come from
/// strangers.
const UNASKED: Duration = Duration::from_secs(3600);

/// Time in which an account, a model on it, or a key is left alone.
///
/// It ends with one probe: the first request after it goes alone, and its answer decides.
#[derive(Clone, Debug)]
pub(crate) struct Bench {
    until: Instant,
    kind: Kind,
    // When a probe went out that has not been answered.
    probe: Option<Instant>,
    // How many guesses in a row were too short.
    step: u32,
    // Whether only an answer ends it.
    open_ended: bool,
    over: bool,
}

/// Whether a bench lets a request pass.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Gate {
    /// As if there were no bench.
    Open,
    /// One request, as the probe.
    Probe,
    /// None before this moment.
    Shut(Instant),
}

impl Bench {
    /// A bench that was over at `since`, to be [set](Self::refuse).
    pub(crate) const fn over(since: Instant) -> Self {
        Self {
            until: since,
            kind: Kind::RequestRate,
            probe: None,
            step: 0,
            open_ended: false,
            over: true,
        }
    }

    /// The same, as if no probe were under way.
    pub(crate) fn without_probe(&self) -> Self {
        Self {
            probe: None,
            ..self.clone()
        }
    }

    pub(crate) const fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn gate(&self, now: Instant) -> Gate {
        if self.over {
            return Gate::Open;
        }
        if now < self.until {
            return Gate::Shut(self.until);
        }
        let (alone, after) = if self.open_ended {
            (NEXT_PROBE, Gate::Probe)
        } else {
            (PROBE, Gate::Open)
        };
        match self.probe {
            None => Gate::Probe,
            Some(sent) if now < sent + alone => Gate::Shut(sent + alone),
            Some(_) => after,
        }
    }

    /// Notes that a request was let through; whether it is the probe.
    pub(crate) fn send(&mut self, now: Instant) -> bool {
        let probe = self.gate(now) == Gate::Probe;
        if probe {
            self.probe = Some(now);
        }
        probe
    }

    /// Notes that the probe sent at `sent` was given up unanswered: the next request is the probe.
    pub(crate) fn give_up(&mut self, sent: Instant) {
        if self.probe == Some(sent) {
            self.probe = None;
        }
    }

    /// Notes an answer to a request sent at `sent` that was not refused.
    pub(crate) fn pass(&mut self, sent: Instant) {
        // An answer to what was sent before the bench was over says nothing about now.
        if !self.over && sent >= self.until {
            self.over = true;
            self.probe = None;
            self.until = sent;
        }
    }

    /// Notes a refusal of a request sent at `sent`. The bench only grows; `random` in 0..1 draws
    /// the guess.
    pub(crate) fn refuse(
        &mut self,
        kind: Kind,
        length: Length,
        sent: Instant,
        now: Instant,
        random: f64,
    ) {
        // What was sent before the end of the bench met the same limit and does not count again.
        let known = sent < self.until;
        let wait = match length {
            Length::Exactly(wait) | Length::OpenEnded(wait) => wait,
            Length::Guess if known => return,
            Length::Guess => self.climb(LADDER, now).mul_f64(random),
            Length::Usually(usual) if known => usual,
            Length::Usually(usual) => self.climb(usual, now),
        };
        let until = far(now, wait);
        let grows = self.over || until > self.until;
        let lasting = matches!(length, Length::OpenEnded(_));
        let was_lasting = !self.over && self.open_ended;
        if grows {
            self.until = until;
        }
        // What needs somebody to act is not mended by the time another refusal takes.
        if (grows && lasting == was_lasting) || self.over || (lasting && !was_lasting) {
            self.kind = kind;
        }
        self.open_ended = lasting || was_lasting;
        if !known {
            self.probe = None;
        }
        self.over = false;
    }

    /// The next step of a ladder that begins with `first`.
    fn climb(&mut self, first: Duration, now: Instant) -> Duration {
        if self.over && now.saturating_duration_since(self.until) > MEMORY {
            self.step = 0;
        }
        let step = first
            .saturating_mul(1 << self.step.min(6))
            .min(LADDER_TOP.max(first));
        self.step = self.step.saturating_add(1);
        step
    }

    /// Whether nothing of it need be remembered: it is over, or nobody has asked for so long.
    pub(crate) fn is_forgotten(&self, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.until);
        since > if self.over { MEMORY } else { UNASKED }
    }
}

/// As far away as anything is put: clocks end somewhere.
pub(crate) const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// `now + wait`, or a year: a server may state any number.
pub(crate) fn far(now: Instant, wait: Duration) -> Instant {
    now + wait.min(YEAR)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(start: Instant, seconds: f64) -> Instant {
        start + Duration::from_secs_f64(seconds)
    }

    fn benched(start: Instant, wait: u64) -> Bench {
        let mut bench = Bench::over(start);
        bench.refuse(
            Kind::RequestRate,
            Length::Exactly(SECOND * u32::try_from(wait).unwrap()),
            start,
            start,
            1.0,
        );
        bench
    }

    #[test]
    fn a_short_refusal_does_not_shorten_a_long_bench() {
        let start = Instant::now();
        let mut bench = benched(start, 60);
        bench.refuse(
            Kind::RequestRate,
            Length::Exactly(SECOND),
            start,
            at(start, 2.0),
            1.0,
        );
        assert_eq!(bench.gate(at(start, 59.0)), Gate::Shut(at(start, 60.0)));
        bench.refuse(
            Kind::QuotaExhausted,
            Length::Exactly(SECOND * 90),
            start,
            at(start, 2.0),
            1.0,
        );
        assert_eq!(bench.gate(at(start, 59.0)), Gate::Shut(at(start, 92.0)));
        assert_eq!(bench.kind(), Kind::QuotaExhausted);
    }

    #[test]
    fn ends_with_one_probe() {
        let start = Instant::now();
        let mut bench = benched(start, 10);
        let due = at(start, 10.0);
        assert_eq!(bench.gate(due), Gate::Probe);
        assert!(bench.send(due));
        assert_eq!(bench.gate(at(start, 10.5)), Gate::Shut(due + PROBE));
        assert!(!bench.send(at(start, 10.5)));

        bench.give_up(at(start, 9.0)); // of somebody else
        assert_eq!(bench.gate(at(start, 10.5)), Gate::Shut(due + PROBE));
        bench.give_up(due);
        assert_eq!(bench.gate(at(start, 10.5)), Gate::Probe);
        assert!(bench.send(at(start, 10.5)));
        bench.pass(at(start, 10.5));
        assert_eq!(bench.gate(at(start, 10.9)), Gate::Open);
    }

    #[test]
    fn a_probe_not_refused_at_once_keeps_nobody_out() {
        let start = Instant::now();
        let mut bench = benched(start, 10);
        bench.send(at(start, 10.0));
        assert_eq!(bench.gate(at(start, 11.0)), Gate::Open);
    }

    #[test]
    fn an_open_ended_bench_ends_with_an_answer_and_not_with_the_patience_of_its_probe() {
        let start = Instant::now();
        let mut bench = Bench::over(start);
        bench.refuse(
            Kind::Credential,
            Length::OpenEnded(SECOND * 900),
            start,
            start,
            1.0,
        );
        let due = at(start, 900.0);
        assert!(bench.send(due));
        assert_eq!(bench.gate(at(start, 905.0)), Gate::Shut(at(start, 960.0)));
        // A minute later the next one goes, alone again.
        assert!(bench.send(at(start, 960.0)));
        assert!(!bench.send(at(start, 961.0)));
        bench.pass(due);
        assert_eq!(bench.gate(at(start, 961.0)), Gate::Open);
    }

    #[test]
    fn a_bench_of_all_kinds_ends() {
        let start = Instant::now();
        for length in [
            Length::Exactly(SECOND * 3600),
            Length::Usually(SECOND * 60),
            Length::Guess,
            Length::OpenEnded(SECOND * 900),
        ] {
            let mut bench = Bench::over(start);
            bench.refuse(Kind::Credential, length, start, start, 1.0);
            assert!(matches!(bench.gate(start), Gate::Shut(_)), "{length:?}");
            let later = at(start, 4000.0);
            assert!(bench.send(later), "{length:?}");
            bench.pass(later);
            assert_eq!(bench.gate(later), Gate::Open, "{length:?}");
        }
    }

    #[test]
    fn a_late_answer_does_not_end_a_bench() {
        let start = Instant::now();
        let mut bench = benched(start, 10);
        bench.pass(start);
        assert_eq!(bench.gate(at(start, 3.0)), Gate::Shut(at(start, 10.0)));
    }

    #[test]
    fn guesses_climb_once_a_refusal_and_stop_at_a_minute() {
        let start = Instant::now();
        let mut bench = Bench::over(start);
        let mut now = start;
        let mut waits = Vec::new();
        for _ in 0..9 {
            let sent = now;
            bench.send(sent);
            bench.refuse(Kind::RequestRate, Length::Guess, sent, now, 1.0);
            // Twenty others were in flight; all of them are refused.
            for _ in 0..20 {
                bench.refuse(
                    Kind::RequestRate,
                    Length::Guess,
                    sent,
                    now + SECOND / 10,
                    1.0,
                );
            }
            let Gate::Shut(until) = bench.gate(now) else {
                panic!("shut")
            };
            waits.push((until - now).as_secs());
            now = until;
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn a_usual_wait_doubles_while_it_proves_too_short() {
        let start = Instant::now();
        for (usual, waits) in [
            (1, [1, 2, 4, 8, 16, 32, 60, 60]),
            (60, [60; 8]),
            (300, [300; 8]),
        ] {
            let mut bench = Bench::over(start);
            let mut now = start;
            for wait in waits {
                bench.send(now);
                for _ in 0..20 {
                    bench.refuse(
                        Kind::RequestRate,
                        Length::Usually(SECOND * usual),
                        now,
                        now,
                        1.0,
                    );
                }
                assert_eq!(bench.gate(now), Gate::Shut(now + SECOND * wait));
                now += SECOND * wait;
            }
        }
    }

    #[test]
    fn a_failed_probe_is_benched_for_one_wait_not_for_the_sum() {
        let start = Instant::now();
        let mut bench = benched(start, 10);
        let due = at(start, 10.0);
        bench.send(due);
        bench.refuse(
            Kind::RequestRate,
            Length::Exactly(SECOND * 10),
            due,
            at(start, 10.1),
            1.0,
        );
        assert_eq!(bench.gate(at(start, 10.1)), Gate::Shut(at(start, 20.1)));
    }

    #[test]
    fn forgets_a_minute_after_recovery() {
        let start = Instant::now();
        let mut bench = benched(start, 10);
        bench.pass(at(start, 10.0));
        assert!(!bench.is_forgotten(at(start, 70.0)));
        assert!(bench.is_forgotten(at(start, 71.5)));
    }

    #[test]
    fn a_stated_eternity_does_not_overflow() {
        let start = Instant::now();
        let mut bench = Bench::over(start);
        bench.refuse(
            Kind::RequestRate,
            Length::Exactly(Duration::MAX),
            start,
            start,
            1.0,
        );
        assert!(matches!(bench.gate(start), Gate::Shut(_)));
    }

    #[test]
    fn what_needs_somebody_to_act_needs_an_answer_whatever_else_is_refused() {
        let start = Instant::now();
        for (first, then) in [(900, 1800), (1800, 900)] {
            let lengths = [
                Length::OpenEnded(SECOND * first),
                Length::Exactly(SECOND * then),
            ];
            for order in [[0, 1], [1, 0]] {
                let mut bench = Bench::over(start);
                for nth in order {
                    bench.refuse(Kind::Credential, lengths[nth], start, start, 1.0);
                }
                let due = at(start, 1800.0);
                assert!(bench.send(due), "{lengths:?} {order:?}");
                // It is not over because its probe is slow.
                let Gate::Shut(_) = bench.gate(at(start, 1802.0)) else {
                    panic!("{lengths:?} {order:?}")
                };
            }
        }
    }
}
