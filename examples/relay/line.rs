use std::sync::Arc;

use key_rotation_layer::{Account, InvalidPool, KeyPool, KeyRotation, KeyRotationLayer};
use rate_limit_layer::{Limiter, RateLimit, RateLimitLayer};
use retry_429_layer::{Backoff, Retry429, Retry429Layer, WithErrors};
use secrecy::ExposeSecret;
use throttle_signal::Reader;
use tower::ServiceBuilder;

use crate::config::{Config, Provider};
use crate::metrics::Metrics;
use crate::upstream::{Broken, Upstream};
use crate::watch::{Watch, WatchLayer};

/// The layers in front of one provider: `retry-429 → key-rotation → rate-limit → client`.
pub(crate) type Stack =
    Retry429<KeyRotation<Watch<RateLimit<Upstream>>>, WithErrors<Backoff, Broken>>;

/// What is known of one provider and its accounts. It outlasts a change of the configuration.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) limiter: Limiter,
    pub(crate) pool: KeyPool,
    retry: Retry429Layer<WithErrors<Backoff, Broken>>,
    reader: Reader,
}

impl Line {
    /// The line to a provider, going on with what `old` knows where that is of the same one.
    ///
    /// # Errors
    ///
    /// A key cannot be used.
    pub(crate) fn build(
        config: &Config,
        place: usize,
        old: Option<(&Provider, &Self)>,
    ) -> Result<Self, InvalidPool> {
        let provider = &config.providers[place];
        let reader = match &provider.profile {
            Some(profile) => Reader::new().profile(profile.clone()),
            None => Reader::new(),
        };
        let old = old.filter(|(old, _)| {
            old.base == provider.base
                && old.credential == provider.credential
                && old.strategy == provider.strategy
        });
        let models = config.models.iter();
        let quotas = models
            .filter(|model| model.provider == place)
            .map(|model| (model.upstream.as_str(), model.quota));
        let own = own_quotas(config, place);
        if let Some((before, line)) = old {
            for (model, quota) in quotas {
                line.limiter.set_quota(model, quota);
            }
            for (account, model, quota) in own {
                line.limiter.set_account_quota(account, model, quota);
            }
            change_accounts(&line.pool, before, provider)?;
            return Ok(Self {
                reader,
                ..line.clone()
            });
        }
        let mut limiter = Limiter::builder();
        for (model, quota) in quotas {
            limiter = limiter.model(model, quota);
        }
        for (account, model, quota) in own {
            limiter = limiter.account_model(account, model, quota);
        }
        let mut pool = KeyPool::builder().strategy(provider.strategy.clone());
        for account in &provider.accounts {
            pool = pool.push(built(provider, account));
        }
        Ok(Self {
            limiter: limiter.build(),
            pool: pool.build()?,
            retry: Retry429Layer::with_policy(WithErrors::new(Backoff::new(), Broken::is_unsent)),
            reader,
        })
    }

    /// The stack over the connections of one thread.
    pub(crate) fn stack(&self, metrics: &Arc<Metrics>, upstream: Upstream) -> Stack {
        let rotation = KeyRotationLayer::new(self.pool.clone()).headroom(self.limiter.clone());
        ServiceBuilder::new()
            .layer(self.retry.clone())
            .layer(rotation)
            .layer(WatchLayer::new(Arc::clone(metrics)))
            .layer(RateLimitLayer::new(self.limiter.clone()).reader(self.reader.clone()))
            .service(upstream)
    }
}

/// What each account of a provider may use of each of its models. All are listed: an account that has
/// no quota of its own any more is given the model's.
fn own_quotas(
    config: &Config,
    place: usize,
) -> impl Iterator<Item = (&str, &str, rate_limit_layer::Quota)> {
    let accounts = &config.providers[place].accounts;
    let models = config.models.iter().enumerate();
    let models = models.filter(move |(_, model)| model.provider == place);
    models.flat_map(move |(at, model)| {
        accounts.iter().map(move |account| {
            let mut own = config.quotas.iter();
            let own = own.find(|own| own.model == at && own.account == account.name);
            let quota = own.map_or(model.quota, |own| own.quota);
            (account.name.as_str(), model.upstream.as_str(), quota)
        })
    })
}

fn built(provider: &Provider, account: &crate::config::Account) -> Account {
    Account::new(account.name.as_str())
        .keys(account.keys.iter().cloned())
        .credential(provider.credential.clone())
        .host(provider.base.host())
        .weight(account.weight)
}

/// Makes the accounts of a pool those of `after`, and leaves alone what stays.
fn change_accounts(pool: &KeyPool, before: &Provider, after: &Provider) -> Result<(), InvalidPool> {
    for account in &after.accounts {
        let old = before.accounts.iter().find(|old| old.name == account.name);
        match old {
            None => pool.add(built(after, account))?,
            Some(old) if !is_same(old, account) => pool.replace(built(after, account))?,
            Some(_) => {}
        }
    }
    for old in &before.accounts {
        if after
            .accounts
            .iter()
            .all(|account| account.name != old.name)
        {
            pool.remove(&old.name.as_str().into())?;
        }
    }
    Ok(())
}

fn is_same(old: &crate::config::Account, new: &crate::config::Account) -> bool {
    let secrets = |account: &crate::config::Account| {
        let keys = account.keys.iter();
        keys.map(|key| key.expose_secret().to_owned())
            .collect::<Vec<_>>()
    };
    old.weight == new.weight && secrets(old) == secrets(new)
}
