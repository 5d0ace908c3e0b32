//! What the relay is to do, read from a file and checked as a whole.

mod base;
mod check;
mod file;
mod problem;
mod secret;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use key_rotation_layer::{Credential, Strategy};
use rate_limit_layer::Quota;
use secrecy::SecretString;
use throttle_signal::Profile;

pub(crate) use self::base::Base;
pub(crate) use self::problem::Invalid;

/// A configuration without a mistake in it.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) listen: SocketAddr,
    /// How many threads serve; one a core if not set.
    pub(crate) workers: Option<usize>,
    /// The level of the log: `error`, `warn`, `info` or `debug`. Each answered request is `info`.
    pub(crate) log: tracing::Level,
    /// How long a request may take until its answer begins.
    pub(crate) deadline: Duration,
    /// How long a request may wait for room where no other model is left.
    pub(crate) max_wait: Duration,
    pub(crate) limits: Limits,
    pub(crate) admin: Admin,
    pub(crate) providers: Vec<Provider>,
    pub(crate) models: Vec<Model>,
    /// What single accounts may use of a model, in place of what is said of the model.
    pub(crate) quotas: Vec<OwnQuota>,
    pub(crate) aliases: Vec<Alias>,
    pub(crate) clients: Vec<Client>,
}

/// What a caller may ask of the relay itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Limits {
    /// The longest body of a request, in bytes.
    pub(crate) body: usize,
    /// The most bytes a request's head may have, from 8 KiB.
    pub(crate) head: usize,
    /// How long a request's head may take to come, and how long a connection may be idle.
    pub(crate) head_within: Duration,
    /// How long a request's body may pause.
    pub(crate) body_within: Duration,
    /// How long a caller may leave an answer unread.
    pub(crate) unread: Duration,
    /// The most connections at once.
    pub(crate) connections: usize,
    /// How long open streams may go on when the relay is told to end.
    pub(crate) drain: Duration,
}

/// Where operators are told how it stands. Nowhere, unless it is said.
#[derive(Debug, Default)]
pub(crate) struct Admin {
    /// A listener of its own, which asks for no key.
    pub(crate) listen: Option<SocketAddr>,
    /// Who is told by the listener that all callers use.
    pub(crate) keys: Vec<SecretString>,
}

/// An upstream and the accounts there.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) name: String,
    pub(crate) base: Base,
    pub(crate) credential: Credential,
    pub(crate) profile: Option<Profile>,
    pub(crate) strategy: Strategy,
    pub(crate) accounts: Vec<Account>,
}

#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) keys: Vec<SecretString>,
    pub(crate) weight: u32,
}

/// A model as callers name it, and where it is.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) name: String,
    /// The place of its provider in [`Config::providers`].
    pub(crate) provider: usize,
    /// What the provider calls it.
    pub(crate) upstream: String,
    pub(crate) quota: Quota,
    pub(crate) price: Price,
    pub(crate) context: Option<u64>,
    pub(crate) first_byte: Option<Duration>,
}

/// What one account may use of a model.
#[derive(Clone, Debug)]
pub(crate) struct OwnQuota {
    pub(crate) account: String,
    /// The place of the model in [`Config::models`].
    pub(crate) model: usize,
    pub(crate) quota: Quota,
}

/// What a million tokens cost, in whatever currency.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Price {
    pub(crate) input: f64,
    pub(crate) output: f64,
}

/// A name for a chain of models: the first that has room within its patience answers.
#[derive(Clone, Debug)]
pub(crate) struct Alias {
    pub(crate) name: String,
    /// Places in [`Config::models`].
    pub(crate) chain: Vec<usize>,
    pub(crate) patience: Duration,
}

/// Who may ask.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) name: String,
    pub(crate) keys: Vec<SecretString>,
    /// Whom its requests are shared among fairly with.
    pub(crate) tenant: String,
    /// How many turns it gets for one of a tenant of weight 1.
    pub(crate) weight: u32,
    pub(crate) priority: i32,
    /// The names it may ask for; all if empty.
    pub(crate) models: Vec<String>,
    pub(crate) rpm: Option<u32>,
    pub(crate) concurrent: Option<usize>,
}

impl Config {
    /// Reads a file and checks it as a whole.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is not TOML, or does not make sense; all that does not is named, with
    /// its line.
    pub(crate) fn load(path: &Path) -> Result<Self, Invalid> {
        let text = std::fs::read_to_string(path).map_err(|error| Invalid::unread(path, &error))?;
        Self::parse(&text, path)
    }

    /// Checks the text of a file; `path` is for the errors and for what the text names relative to it.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub(crate) fn parse(text: &str, path: &Path) -> Result<Self, Invalid> {
        check::check(text, path)
    }

    /// All that a caller may name as a model, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let aliases = self.aliases.iter().map(|alias| alias.name.as_str());
        aliases.chain(self.models.iter().map(|model| model.name.as_str()))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 32 << 20,
            head: 64 << 10,
            // Clients keep theirs for up to 90 s, proxies for 60 s. Were the relay the first to close one,
            // it would do so now and then while a request is on its way.
            head_within: Duration::from_secs(120),
            body_within: Duration::from_secs(30),
            unread: Duration::from_secs(120),
            connections: 10_000,
            drain: Duration::from_secs(300),
        }
    }
}

/// Where a relay listens that is not told where.
pub(crate) const LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
