use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use throttle_signal::{Throttle, Wait};
use tokio::time::Instant;

use crate::candidate::YEAR;

/// A probe that has not failed for this long keeps nobody else out: refusals come fast, answers may
/// take a minute.
const PROBE: Duration = Duration::from_secs(1);

/// What failed without a refusal may fail as slowly again. Not answered for this long, the next one goes,
/// alone again.
const NEXT_PROBE: Duration = Duration::from_secs(60);

/// The ladder of guessed times: what is usual or a second, then doubling, up to a minute.
const LADDER: Duration = Duration::from_secs(1);
const LADDER_TOP: Duration = Duration::from_secs(60);

/// Entries kept. More models than this out at once are forgotten, and asked again.
const MOST: usize = 1024;

/// Which candidates are out, for which model, and until when.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    out: Mutex<HashMap<(usize, Arc<str>), Out>>,
}

#[derive(Debug)]
struct Out {
    until: Instant,
    because: Option<Throttle>,
    // How many guesses in a row were too short.
    step: u32,
    // When a request went out to see whether it is over.
    probe: Option<Instant>,
}

/// What is remembered of a candidate.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Standing {
    /// It can be asked.
    Up,
    /// It can be asked by this request, whose answer decides, and by no other meanwhile. Unless the
    /// answer comes, it is to be [given up](Memory::give_up).
    Probe,
    /// It is out until this moment, as this refusal said, if it was one.
    Out(Instant, Option<Throttle>),
}

impl Memory {
    /// Whether to ask a candidate, by a request that would wait until `patient_until` for room.
    ///
    /// When the time of one that is out is over, the first to look is the probe.
    pub(crate) fn look(
        &self,
        candidate: usize,
        model: &Arc<str>,
        patient_until: Instant,
        now: Instant,
    ) -> Standing {
        let mut out = self.lock();
        if out.is_empty() {
            return Standing::Up;
        }
        let Some(entry) = out.get_mut(&(candidate, Arc::clone(model))) else {
            return Standing::Up;
        };
        if entry.until > now {
            // Soon over, and the layers below know when: they wait for it.
            let waits = |because: &Throttle| because.retry() && because.wait().known().is_some();
            return if entry.until <= patient_until && entry.because.as_ref().is_some_and(waits) {
                Standing::Up
            } else {
                Standing::Out(entry.until, entry.because.clone())
            };
        }
        let alone = match entry.because {
            Some(_) => PROBE,
            None => NEXT_PROBE,
        };
        match entry.probe {
            Some(sent) if now < sent + alone => Standing::Out(sent + alone, entry.because.clone()),
            _ => {
                entry.probe = Some(now);
                Standing::Probe
            }
        }
    }

    /// Notes that the probe sent at `sent` is over without an answer of the candidate: the next request
    /// is the probe.
    pub(crate) fn give_up(&self, candidate: usize, model: &Arc<str>, sent: Instant) {
        let mut out = self.lock();
        if let Some(entry) = out.get_mut(&(candidate, Arc::clone(model))) {
            if entry.probe == Some(sent) {
                entry.probe = None;
            }
        }
    }

    /// Notes that a candidate answered.
    pub(crate) fn up(&self, candidate: usize, model: &Arc<str>) {
        let mut out = self.lock();
        if !out.is_empty() {
            out.remove(&(candidate, Arc::clone(model)));
        }
    }

    /// Notes that a candidate is out, for so long if that is known.
    pub(crate) fn out(
        &self,
        candidate: usize,
        model: &Arc<str>,
        wait: Wait,
        because: Option<Throttle>,
        now: Instant,
    ) {
        let mut out = self.lock();
        if out.len() >= MOST {
            out.retain(|_, entry| entry.until > now);
        }
        if out.len() >= MOST {
            return;
        }
        let entry = out
            .entry((candidate, Arc::clone(model)))
            .or_insert_with(|| Out {
                until: now,
                because: None,
                step: 0,
                probe: None,
            });
        let until = match (wait.stated(), wait.known()) {
            (Some(stated), _) => now + stated.min(YEAR),
            // Requests that were in flight fail together, and count once.
            _ if entry.until > now => return,
            (None, usual) => {
                let first = usual.unwrap_or(LADDER);
                let guess = first.saturating_mul(1 << entry.step.min(6));
                entry.step = entry.step.saturating_add(1);
                now + guess.min(LADDER_TOP.max(first))
            }
        };
        entry.probe = None;
        if until >= entry.until {
            entry.until = until;
            entry.because = because;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(usize, Arc<str>), Out>> {
        // Nothing inside panics half way, so a poisoned memory is a whole one.
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use throttle_signal::Kind;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn is_up(memory: &Memory, now: Instant, patience: Duration) -> bool {
        !matches!(
            memory.look(0, &"m".into(), now + patience, now),
            Standing::Out(..)
        )
    }

    #[test]
    fn is_out_for_longer_than_the_patience_and_probed_once() {
        let start = Instant::now();
        let memory = Memory::default();
        let throttle = Throttle::new(Kind::RequestRate).with_wait(Wait::Stated(10 * SECOND));
        memory.out(
            0,
            &"m".into(),
            Wait::Stated(10 * SECOND),
            Some(throttle.clone()),
            start,
        );
        assert!(!is_up(&memory, start, 2 * SECOND));
        let look = memory.look(0, &"m".into(), start, start);
        assert_eq!(look, Standing::Out(start + 10 * SECOND, Some(throttle)));
        assert_eq!(memory.look(1, &"m".into(), start, start), Standing::Up);
        assert_eq!(memory.look(0, &"other".into(), start, start), Standing::Up);
        assert!(is_up(&memory, start + 8 * SECOND, 2 * SECOND));

        let due = start + 10 * SECOND;
        assert!(is_up(&memory, due, SECOND));
        assert!(!is_up(&memory, due, SECOND));
        assert!(is_up(&memory, due + SECOND, SECOND)); // unanswered: the next is the probe
        memory.up(0, &"m".into());
        assert!(is_up(&memory, due, SECOND) && is_up(&memory, due, SECOND));
    }

    #[test]
    fn guesses_climb_once_a_failure() {
        let memory = Memory::default();
        let mut now = Instant::now();
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            for _ in 0..20 {
                memory.out(0, &"m".into(), Wait::Unknown, None, now);
            }
            assert!(!is_up(
                &memory,
                now + seconds * SECOND - SECOND / 10,
                5 * SECOND
            ));
            now += seconds * SECOND;
            assert!(is_up(&memory, now, SECOND));
        }
    }

    #[test]
    fn a_short_wait_does_not_shorten_a_long_one() {
        let start = Instant::now();
        let memory = Memory::default();
        memory.out(0, &"m".into(), Wait::Stated(60 * SECOND), None, start);
        memory.out(0, &"m".into(), Wait::Stated(SECOND), None, start);
        assert!(!is_up(&memory, start + 50 * SECOND, SECOND));
    }

    #[test]
    fn is_bounded() {
        let memory = Memory::default();
        let now = Instant::now();
        for model in 0..2 * MOST {
            memory.out(
                0,
                &model.to_string().into(),
                Wait::Stated(60 * SECOND),
                None,
                now,
            );
        }
        assert_eq!(memory.lock().len(), MOST);
    }
}
