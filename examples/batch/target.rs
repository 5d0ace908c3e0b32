use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use anyhow::{Context, Result};
use http::HeaderValue;
use model_studio_sim::{Latency, Limits, Simulator};
use secrecy::ExposeSecret;
use throttle_signal::{AccountId, Profile, Reader};

use crate::args::Args;
use crate::endpoint::Endpoint;
use crate::input::{Input, Job, MODEL};
use crate::key::{Accounts, Key};
use crate::progress::note;
use crate::quota::{MODELS, Quota};
use crate::wire::Counts;

/// The keys that open the simulator, unless others are given: two accounts.
const KEYS: [&str; 3] = ["sk-a1@a", "sk-a2@a", "sk-b1@b"];

/// Where the requests go: an endpoint, the keys for it, and what it allows.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) endpoint: Endpoint,
    pub(crate) accounts: Accounts,
    /// How the endpoint's refusals are read.
    pub(crate) reader: Reader,
    /// The models to ask, in order.
    pub(crate) chain: Vec<Link>,
    /// How long a request may wait for room at one model before the next is asked.
    pub(crate) patience: Duration,
    /// The models of the chain and the input, and those whose quota is known.
    pub(crate) quotas: Vec<(String, Quota)>,
    /// What any other model allows.
    pub(crate) other: Quota,
    /// The endpoint itself, where it is ours.
    pub(crate) simulator: Option<Simulator>,
}

impl Target {
    /// Settles where the requests go, and starts the simulator unless there is an endpoint.
    ///
    /// # Errors
    ///
    /// Fails if the URL or a key is wrong, there is no key, or the simulator cannot start.
    pub(crate) async fn settle(args: &Args, input: &Input) -> Result<Self> {
        let mut quotas: Vec<(String, Quota)> = Vec::new();
        let named = args.models.iter().map(String::as_str);
        let named = named.chain(input.jobs.iter().map(|job| job.model.as_str()));
        for model in named.chain(MODELS) {
            if !quotas.iter().any(|(known, _)| known == model) {
                quotas.push((model.to_owned(), args.quota.of(model)));
            }
        }
        let (endpoint, accounts, simulator) = if let Some(url) = &args.base_url {
            let (endpoint, accounts) = real(url, &args.keys)?;
            (endpoint, accounts, None)
        } else {
            for (_, quota) in quotas.iter_mut().filter(|(_, quota)| !quota.is_limit()) {
                *quota = Quota::default().of(MODEL);
            }
            let accounts = Accounts::collect(if args.keys.is_empty() {
                KEYS.map(Key::from).to_vec()
            } else {
                args.keys.clone()
            })?;
            let simulator = simulator(&accounts, &quotas).await?;
            (
                Endpoint::parse(simulator.base_url())?,
                accounts,
                Some(simulator),
            )
        };
        Ok(Self {
            reader: reader(args.profile.as_deref(), &endpoint),
            endpoint,
            accounts,
            chain: chain(args, input),
            patience: Duration::from_secs(args.patience),
            quotas,
            other: args.quota,
            simulator,
        })
    }

    /// What the quota allows for these jobs; `None` if nothing limits them.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub(crate) fn ideal(&self, jobs: &[Job]) -> Option<Ideal> {
        let mut by_model: HashMap<&str, u64> = HashMap::new();
        for job in jobs {
            let model = match self.chain.first() {
                Some(Link::Model(model)) => model,
                _ => &job.model,
            };
            *by_model.entry(model).or_default() += 1;
        }
        let ideal = |(model, requests)| {
            let rate = self.quota(model).rate()? * self.accounts.len() as f64;
            Some(Ideal {
                seconds: (requests - 1) as f64 / rate,
                rate,
            })
        };
        let ideals = by_model.into_iter().filter_map(ideal);
        ideals.max_by(|one, other| one.seconds.total_cmp(&other.seconds))
    }

    /// What one account may ask of `model`.
    pub(crate) fn quota(&self, model: &str) -> Quota {
        let found = self.quotas.iter().find(|(known, _)| known == model);
        found.map_or(self.other, |(_, quota)| *quota)
    }

    /// The header of every key and its account, one account after the other.
    ///
    /// # Errors
    ///
    /// Fails if a key cannot stand in a header.
    pub(crate) fn credentials(&self) -> Result<Vec<(AccountId, HeaderValue)>> {
        let keys = self.accounts.iter();
        let keys = keys.flat_map(|(account, keys)| keys.iter().map(move |key| (account, key)));
        keys.map(|(account, key)| {
            let mut value = HeaderValue::try_from(format!("Bearer {}", key.expose_secret()))
                .with_context(|| format!("a key of {account} cannot stand in a header"))?;
            value.set_sensitive(true);
            Ok((account.into(), value))
        })
        .collect()
    }

    /// Requests sent and requests refused: by the simulator's ledger, or else as counted here.
    pub(crate) fn sends(&self, counts: &Counts) -> (u64, u64) {
        let Some(simulator) = &self.simulator else {
            return (counts.sends(), counts.refused());
        };
        let ledger = simulator.ledger();
        let sends = ledger.requests() + ledger.refusals() + ledger.invalid_keys;
        (sends, ledger.refusals())
    }
}

/// A link of the chain.
#[derive(Debug)]
pub(crate) enum Link {
    /// Every request can be made one for this model.
    Model(String),
    /// For requests that name this model themselves.
    Own(String),
}

/// What the quota allows for a given load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ideal {
    /// The least time it takes, in seconds.
    pub(crate) seconds: f64,
    /// Requests a second, over all accounts, of the model that takes longest.
    pub(crate) rate: f64,
}

/// The models that were asked for; with none, those of the input, and for prompts that come along
/// and a simulator those that people fall back to.
fn chain(args: &Args, input: &Input) -> Vec<Link> {
    if !args.models.is_empty() {
        return args.models.iter().cloned().map(Link::Model).collect();
    }
    if args.input.is_none() && args.base_url.is_none() {
        let models = MODELS[..3].iter();
        return models
            .map(|model| Link::Model((*model).to_owned()))
            .collect();
    }
    let own: BTreeSet<_> = input.jobs.iter().map(|job| job.model.clone()).collect();
    own.into_iter().map(Link::Own).collect()
}

/// Loopback has no provider's name; what listens there is a simulator.
fn reader(profile: Option<&str>, endpoint: &Endpoint) -> Reader {
    let profile = profile.or(endpoint.is_loopback().then_some("model-studio"));
    match profile.and_then(Profile::named) {
        Some(profile) => Reader::new().profile(profile),
        None => Reader::new(),
    }
}

fn real(url: &str, keys: &[Key]) -> Result<(Endpoint, Accounts)> {
    let endpoint = Endpoint::parse(url)?;
    let accounts = Accounts::collect(if keys.is_empty() {
        environment()
    } else {
        keys.to_vec()
    })?;
    if endpoint.exposes_keys() {
        note(&format!(
            "note: keys go to {} unencrypted; https would protect them",
            endpoint.authority()
        ));
    }
    Ok((endpoint, accounts))
}

/// A simulator with these accounts and quotas, as quick to answer as a small model with a short
/// answer.
pub(crate) async fn simulator(
    accounts: &Accounts,
    quotas: &[(String, Quota)],
) -> Result<Simulator> {
    let latency = Latency::uniform(Duration::from_millis(40), Duration::from_millis(120));
    let mut builder = Simulator::builder().latency(latency);
    for (account, keys) in accounts.iter() {
        builder = builder.account(account, keys.iter().map(ExposeSecret::expose_secret));
    }
    for (model, quota) in quotas {
        builder = builder.model(model, limits(*quota));
    }
    builder
        .start()
        .await
        .context("cannot start the simulator on a free port of 127.0.0.1")
}

fn limits(quota: Quota) -> Limits {
    let mut limits = Limits::default();
    if let Some(rpm) = quota.rpm {
        limits = Limits::per_minute(rpm);
    }
    if let Some(rps) = quota.rps {
        limits = limits.per_second(rps);
    }
    if let Some(tpm) = quota.tpm {
        limits = limits.tokens_per_minute(tpm);
    }
    if let Some(tps) = quota.tps {
        limits = limits.tokens_per_second(tps);
    }
    limits
}

fn environment() -> Vec<Key> {
    // A variable that is set to nothing is as good as none.
    let lists = ["DASHSCOPE_API_KEYS", "DASHSCOPE_API_KEY"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok());
    let keys = lists.map(|list| Accounts::listed(&list).collect::<Vec<_>>());
    keys.into_iter()
        .find(|keys| !keys.is_empty())
        .unwrap_or_default()
}
