use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::fault::Fault;
use super::latency::Latency;
use super::simulator::Simulator;
use super::when::When;
use crate::{Limits, RefusalKind};

/// What a [`Simulator`] is to be. From [`Simulator::builder`].
///
/// Without an account it has two, `a` with the keys `sk-a1` and `sk-a2`, and `b` with `sk-b1`.
/// Without a model it has four, limited by the request and by the token as on Model Studio:
///
/// | model | RPM | RPS | TPM |
/// | --- | --- | --- | --- |
/// | `qwen3-max` | 600 | 10 | 1 000 000 |
/// | `qwen3-max-2025-09-23` | 60 | 1 | 100 000 |
/// | `qwen-plus` | 1 200 | 20 | 1 000 000 |
/// | `qwen-turbo` | 1 200 | 20 | 5 000 000 |
///
/// The first two rows are Model Studio's own figures, the last two stand for larger ones.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is started"]
pub struct Builder(Settings);

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) listen: SocketAddr,
    pub(super) accounts: Vec<Account>,
    pub(super) models: Vec<(String, Limits)>,
    pub(super) latency: Latency,
    pub(super) completion_tokens: RangeInclusive<u32>,
    pub(super) token_time: Duration,
    pub(super) faults: Vec<(Fault, When)>,
    pub(super) retry_after: bool,
    pub(super) seed: u64,
}

#[derive(Clone)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) keys: Vec<String>,
    pub(super) overdue: bool,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Somebody may have tried it with keys of their own.
        f.debug_struct("Account")
            .field("name", &self.name)
            .field("overdue", &self.overdue)
            .finish_non_exhaustive()
    }
}

impl Builder {
    pub(super) fn new() -> Self {
        Self(Settings {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            accounts: Vec::new(),
            models: Vec::new(),
            latency: Latency::NONE,
            completion_tokens: 20..=200,
            token_time: Duration::ZERO,
            faults: Vec::new(),
            retry_after: false,
            seed: 1,
        })
    }

    /// Sets where to listen. A free port on loopback by default.
    pub fn listen(mut self, addr: SocketAddr) -> Self {
        self.0.listen = addr;
        self
    }

    /// Adds an account and its keys, which share its quota. Given again it gets more keys. A key
    /// belongs to the account that named it last.
    pub fn account<K>(mut self, name: impl Into<String>, keys: K) -> Self
    where
        K: IntoIterator,
        K::Item: Into<String>,
    {
        let keys = keys.into_iter().map(Into::into);
        let account = self.find(name.into());
        account.keys.extend(keys);
        self
    }

    /// Lets an account be overdue: every request of its keys is refused. Adds it where it is new.
    pub fn overdue(mut self, name: impl Into<String>) -> Self {
        self.find(name.into()).overdue = true;
        self
    }

    fn find(&mut self, name: String) -> &mut Account {
        let accounts = &mut self.0.accounts;
        let at = accounts
            .iter()
            .position(|account| account.name == name)
            .unwrap_or(accounts.len());
        if at == accounts.len() {
            accounts.push(Account {
                name,
                keys: Vec::new(),
                overdue: false,
            });
        }
        &mut accounts[at]
    }

    /// Adds a model, which every account may ask within these limits. Given again it gets new limits.
    pub fn model(mut self, name: impl Into<String>, limits: Limits) -> Self {
        let name = name.into();
        let models = &mut self.0.models;
        match models.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = limits,
            None => models.push((name, limits)),
        }
        self
    }

    /// Sets how long answers take. No time of their own by default.
    pub fn latency(mut self, latency: impl Into<Latency>) -> Self {
        self.0.latency = latency.into();
        self
    }

    /// Sets how long each token of an answer takes on top of the latency: a stream is as much
    /// slower in between, a whole answer comes as much later. No time by default.
    pub fn token_time(mut self, time: Duration) -> Self {
        self.0.token_time = time;
        self
    }

    /// Sets how many tokens answers have, before `max_tokens` cuts them. 20 to 200 by default; a
    /// prompt always gets the same answer.
    pub fn completion_tokens(mut self, tokens: RangeInclusive<u32>) -> Self {
        self.0.completion_tokens = tokens;
        self
    }

    /// Refuses a share (0 to 1) of the requests for no reason, as too many requests. They take
    /// nothing of the quota.
    pub fn refuse_at_random(self, share: f64) -> Self {
        self.fault(Fault::Refuse(RefusalKind::RequestRate), When::share(share))
    }

    /// Lets something go wrong. Where several would happen to one request, the one given first does.
    pub fn fault(mut self, fault: Fault, when: When) -> Self {
        self.0.faults.push((fault, when));
        self
    }

    /// Sets whether refusals say in `Retry-After` how long to wait. Off by default, as no answer of
    /// Model Studio has been seen to carry it.
    pub fn retry_after(mut self, retry_after: bool) -> Self {
        self.0.retry_after = retry_after;
        self
    }

    /// Sets what all draws depend on. 1 by default.
    pub fn seed(mut self, seed: u64) -> Self {
        self.0.seed = seed;
        self
    }

    /// Starts to serve, on the runtime it is called in.
    ///
    /// # Errors
    ///
    /// The address cannot be listened on.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, or in one whose I/O or time is not enabled.
    pub async fn start(self) -> io::Result<Simulator> {
        let mut settings = self.0;
        if settings.accounts.is_empty() {
            settings.accounts = Self::new()
                .account("a", ["sk-a1", "sk-a2"])
                .account("b", ["sk-b1"])
                .0
                .accounts;
        }
        if settings.models.is_empty() {
            let row = |rpm, tpm| {
                Limits::per_minute(rpm)
                    .per_second(rpm / 60)
                    .tokens_per_minute(tpm)
            };
            settings.models = Self::new()
                .model("qwen3-max", row(600, 1_000_000))
                .model("qwen3-max-2025-09-23", row(60, 100_000))
                .model("qwen-plus", row(1_200, 1_000_000))
                .model("qwen-turbo", row(1_200, 5_000_000))
                .0
                .models;
        }
        Simulator::start(settings).await
    }
}
