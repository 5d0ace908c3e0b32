use std::time::Duration;

use anyhow::{Context, Result};
use model_studio_sim::{Latency, Limits, Simulator};
use secrecy::ExposeSecret;

use crate::args::{Args, Profile};
use crate::endpoint::Endpoint;
use crate::input::{Input, MODEL};
use crate::key::{Accounts, Key};
use crate::progress::note;
use crate::quota::Quota;

/// Where the requests go: an endpoint, the keys for it, and what it allows.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) endpoint: Endpoint,
    pub(crate) accounts: Accounts,
    pub(crate) profile: Profile,
    /// The models to ask in order. Empty: each request's own.
    pub(crate) chain: Vec<String>,
    /// The models whose quota is known, and all of the chain and the input.
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
        let models = input.jobs.iter().map(|job| &job.model).chain(&args.models);
        let mut quotas: Vec<(String, Quota)> = Vec::new();
        for model in models {
            if !quotas.iter().any(|(known, _)| known == model) {
                quotas.push((model.clone(), args.quota.of(model)));
            }
        }
        let (endpoint, accounts, simulator) = match &args.base_url {
            Some(url) => {
                let endpoint = Endpoint::parse(url)?;
                let accounts = Accounts::collect(if args.keys.is_empty() {
                    environment()
                } else {
                    args.keys.clone()
                })?;
                if endpoint.exposes_keys() {
                    note(&format!(
                        "note: keys go to {} unencrypted; https would protect them",
                        endpoint.authority()
                    ));
                }
                (endpoint, accounts, None)
            }
            None => {
                let keys = if args.keys.is_empty() {
                    ["sk-a1@a", "sk-a2@a", "sk-b1@b"].map(Key::from).to_vec()
                } else {
                    args.keys.clone()
                };
                let accounts = Accounts::collect(keys)?;
                let quotas = quotas.iter_mut().map(|(model, quota)| {
                    // A model that neither Model Studio nor the user gives a quota is limited as its largest is.
                    if !quota.is_limit() {
                        *quota = Quota::default().of(MODEL);
                    }
                    (model.as_str(), *quota)
                });
                let simulator = simulator(&accounts, quotas).await?;
                (
                    Endpoint::parse(simulator.base_url())?,
                    accounts,
                    Some(simulator),
                )
            }
        };
        let profile = args.profile.unwrap_or_else(|| Profile::of(&endpoint));
        Ok(Self {
            endpoint,
            accounts,
            profile,
            chain: args.models.clone(),
            quotas,
            other: args.quota,
            simulator,
        })
    }

    /// Requests a second that all accounts together allow the model.
    #[expect(clippy::cast_precision_loss, reason = "accounts are few")]
    pub(crate) fn rate(&self, model: &str) -> Option<f64> {
        let quota = self
            .quotas
            .iter()
            .find(|(known, _)| known == model)
            .map_or(self.other, |(_, quota)| *quota);
        Some(quota.rate()? * self.accounts.len() as f64)
    }
}

impl Profile {
    fn of(endpoint: &Endpoint) -> Self {
        let host = endpoint.host().to_ascii_lowercase();
        if host.ends_with(".aliyuncs.com") || endpoint.is_loopback() {
            Self::ModelStudio
        } else if host == "openai.com" || host.ends_with(".openai.com") {
            Self::Openai
        } else {
            Self::Generic
        }
    }
}

/// A simulator with these accounts and quotas, as quick to answer as a small model with a short
/// answer.
pub(crate) async fn simulator(
    accounts: &Accounts,
    quotas: impl IntoIterator<Item = (&str, Quota)>,
) -> Result<Simulator> {
    let latency = Latency::uniform(Duration::from_millis(40), Duration::from_millis(120));
    let mut builder = Simulator::builder().latency(latency);
    for (account, keys) in accounts.iter() {
        builder = builder.account(account, keys.iter().map(ExposeSecret::expose_secret));
    }
    for (model, quota) in quotas {
        builder = builder.model(model, limits(quota));
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
    let list = ["DASHSCOPE_API_KEYS", "DASHSCOPE_API_KEY"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok());
    list.map_or_else(Vec::new, |list| Accounts::listed(&list).collect())
}
