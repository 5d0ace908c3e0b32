use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use throttle_signal::{AccountId, Fingerprint, Kind};
use tokio::time::Instant;

use crate::InvalidPool;
use crate::account::Account;
use crate::bench::{Bench, Gate, Length};
use crate::credential::Credential;
use crate::key::Key;
use crate::sentence::Target;
use crate::tried::Tried;

/// An account in the pool, with what was learned of it.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) id: AccountId,
    pub(crate) keys: Vec<Key>,
    pub(crate) credential: Credential,
    pub(crate) hosts: Vec<Box<str>>,
    pub(crate) weight: u32,
    // Whether some bench of it is open-ended. Looked at without the lock.
    lasting: AtomicBool,
    // What took its place in the pool since, which learns what requests still in flight hear. The same for
    // all of one account.
    heir: Arc<Mutex<Weak<Member>>>,
    state: Mutex<State>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) enabled: bool,
    pub(crate) account: Option<Bench>,
    pub(crate) models: HashMap<Arc<str>, Bench>,
    // Until when a limiter below holds back a model, where no forecast of it is at hand.
    paced: HashMap<Arc<str>, Instant>,
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
    last_used: u64,
}

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
            heir: Arc::default(),
            state: Mutex::new(state),
        })
    }

    /// The member that takes the place of `old`, going on with what is known of the keys that stay.
    pub(crate) fn succeeding(old: &Self, account: Account) -> Result<Arc<Self>, InvalidPool> {
        let mut new = Self::new(account)?;
        let mut stays = new.keys.iter().map(|key| old.place(key.fingerprint()));
        let same_account = stays.any(|place| place.is_some());
        if same_account {
            new.heir = Arc::clone(&old.heir);
        }
        let new = Arc::new(new);
        let before = old.lock();
        let mut after = new.lock();
        after.enabled = before.enabled;
        for (key, state) in new.keys.iter().zip(&mut after.keys) {
            let Some(place) = old.place(key.fingerprint()) else {
                continue;
            };
            let known = &before.keys[place];
            state.proven = known.proven;
            state.bench = known.bench.as_ref().map(Bench::without_probe);
        }
        if same_account {
            let models = before.models.iter();
            after.account = before.account.as_ref().map(Bench::without_probe);
            after.models = models
                .map(|(model, bench)| (Arc::clone(model), bench.without_probe()))
                .collect();
            after.paced.clone_from(&before.paced);
            (after.last_used, after.served) = (before.last_used, before.served);
            new.lasting
                .store(old.lasting.load(Ordering::Acquire), Ordering::Release);
            // With the state of the old one locked: what it hears from now on is handed on.
            *new.heir() = Arc::downgrade(&new);
        }
        drop(after);
        Ok(new)
    }

    fn heir(&self) -> MutexGuard<'_, Weak<Self>> {
        self.heir.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a key is, if it is one of this account.
    fn place(&self, key: &Fingerprint) -> Option<usize> {
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

    /// Benches what a refusal of a request with this key names.
    pub(crate) fn refuse(
        &self,
        refusal: &Refusal,
        key: &Fingerprint,
        model: &Arc<str>,
        now: Instant,
    ) {
        let mut state = self.lock();
        self.bench(&mut state, refusal, key, model, now);
        let heir = self.heir().upgrade();
        drop(state);
        if let Some(heir) = heir.filter(|heir| !std::ptr::eq(Arc::as_ptr(heir), self)) {
            heir.refuse(refusal, key, model, now);
        }
    }

    fn bench(
        &self,
        state: &mut State,
        refusal: &Refusal,
        key: &Fingerprint,
        model: &Arc<str>,
        now: Instant,
    ) {
        let bench = match refusal.target {
            Target::Key => match self.place(key) {
                Some(place) => state.keys[place]
                    .bench
                    .get_or_insert(Bench::over(refusal.sent)),
                None => return, // removed meanwhile
            },
            Target::Account => state.account.get_or_insert(Bench::over(refusal.sent)),
            Target::Model => {
                state.models.retain(|_, bench| !bench.is_forgotten(now));
                state
                    .models
                    .entry(Arc::clone(model))
                    .or_insert(Bench::over(refusal.sent))
            }
        };
        bench.refuse(
            refusal.kind,
            refusal.length,
            refusal.sent,
            now,
            refusal.random,
        );
        if matches!(refusal.length, Length::OpenEnded(_)) {
            self.lasting.store(true, Ordering::Release);
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

/// A refusal to bench for.
pub(crate) struct Refusal {
    pub(crate) target: Target,
    pub(crate) kind: Kind,
    pub(crate) length: Length,
    pub(crate) sent: Instant,
    pub(crate) random: f64,
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
