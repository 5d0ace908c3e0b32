use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use throttle_signal::{AccountId, Fingerprint};
use tokio::time::Instant;

use crate::InvalidPool;
use crate::account::Account;
use crate::bench::{Bench, Gate};
use crate::credential::Credential;
use crate::heir::Heir;
use crate::key::Key;

/// An account in the pool, with what was learned of it.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) id: AccountId,
    pub(crate) keys: Vec<Key>,
    pub(crate) credential: Credential,
    pub(crate) hosts: Vec<Box<str>>,
    pub(crate) weight: u32,
    // Whether some bench of it is open-ended. Looked at without the lock.
    pub(crate) lasting: AtomicBool,
    pub(crate) heir: Heir,
    state: Mutex<State>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) enabled: bool,
    pub(crate) account: Option<Bench>,
    pub(crate) models: HashMap<Arc<str>, Bench>,
    // Until when a limiter below holds back a model, where no forecast of it is at hand.
    pub(crate) paced: HashMap<Arc<str>, Instant>,
    pub(crate) keys: Vec<KeyState>,
    // When it was last chosen, on the pool's own count of choices.
    pub(crate) last_used: u64,
    // What it has served, divided by its weight, on the pool's count for that.
    pub(crate) served: u128,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct KeyState {
    pub(crate) bench: Option<Bench>,
    /// Whether an answer ever came back for it.
    pub(crate) proven: bool,
    pub(crate) in_flight: u32,
    pub(crate) last_used: u64,
}

/// What the request with a key is the probe of.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Probes {
    pub(crate) account: bool,
    pub(crate) model: bool,
    pub(crate) key: bool,
}

impl Member {
    pub(crate) fn new(account: Account) -> Result<Self, InvalidPool> {
        let mut account = account;
        let keys = account.take_keys()?;
        let state = State {
            enabled: true,
            account: None,
            models: HashMap::new(),
            paced: HashMap::new(),
            keys: vec![KeyState::default(); keys.len()],
            last_used: 0,
            served: 0,
        };
        Ok(Self {
            id: account.id,
            keys,
            credential: account.credential,
            hosts: account.hosts,
            weight: account.weight,
            lasting: AtomicBool::new(false),
            heir: Heir::default(),
            state: Mutex::new(state),
        })
    }

    /// Where a key is, if it is one of this account.
    pub(crate) fn place(&self, key: &Fingerprint) -> Option<usize> {
        self.keys
            .iter()
            .position(|known| known.fingerprint() == key)
    }

    /// Forgets why anything of it is out.
    pub(crate) fn reset(&self) {
        let mut state = self.lock();
        state.account = None;
        state.models.clear();
        for key in &mut state.keys {
            key.bench = None;
        }
        self.lasting.store(false, Ordering::Release);
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing inside panics half way, so a poisoned state is a whole one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until when a limiter below is known to hold back this model.
    pub(crate) fn paced_until(state: &State, model: &str) -> Option<Instant> {
        state.paced.get(model).copied()
    }

    /// Notes that a limiter below holds back this model.
    pub(crate) fn pace(&self, model: &Arc<str>, until: Instant, now: Instant) {
        let mut state = self.lock();
        state.paced.retain(|_, until| *until > now);
        let held = state.paced.entry(Arc::clone(model)).or_insert(until);
        *held = until.max(*held);
    }

    /// Takes `key` for a request, and notes what it probes.
    pub(crate) fn send(
        state: &mut State,
        key: usize,
        model: &str,
        count: u64,
        now: Instant,
    ) -> Probes {
        state.last_used = count;
        let key = &mut state.keys[key];
        key.last_used = count;
        key.in_flight += 1;
        Probes {
            account: state.account.as_mut().is_some_and(|bench| bench.send(now)),
            model: state
                .models
                .get_mut(model)
                .is_some_and(|bench| bench.send(now)),
            key: key.bench.as_mut().is_some_and(|bench| bench.send(now)),
        }
    }

    /// Notes that a request with `key` is over: whether an answer came that is no refusal, and what
    /// it was the probe of.
    pub(crate) fn end(&self, key: usize, model: &str, sent: Instant, passed: bool, probes: Probes) {
        let mut state = self.lock();
        let state = &mut *state;
        let key = &mut state.keys[key];
        key.in_flight = key.in_flight.saturating_sub(1);
        key.proven |= passed;
        if !passed && probes == Probes::default() {
            return;
        }
        for (bench, probed) in [
            (state.account.as_mut(), probes.account),
            (state.models.get_mut(model), probes.model),
            (key.bench.as_mut(), probes.key),
        ] {
            match bench {
                Some(bench) if passed => bench.pass(sent),
                Some(bench) if probed => bench.give_up(sent),
                _ => {}
            }
        }
    }

    /// Whether anything of it is out for longer than time alone mends.
    pub(crate) fn has_lasting(&self) -> bool {
        self.lasting.load(Ordering::Acquire)
    }

    /// Whether a key that was taken for a request is out by now. What the request itself probes does
    /// not count.
    pub(crate) fn is_out(&self, key: usize, model: &str, probes: Probes, now: Instant) -> bool {
        let state = self.lock();
        let shut = |bench: Option<&Bench>, probed: bool| {
            !probed && bench.is_some_and(|bench| matches!(bench.gate(now), Gate::Shut(_)))
        };
        shut(state.account.as_ref(), probes.account)
            || shut(state.models.get(model), probes.model)
            || shut(state.keys[key].bench.as_ref(), probes.key)
    }
}
