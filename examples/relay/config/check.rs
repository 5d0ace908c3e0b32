mod field;
mod provider;

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use rate_limit_layer::Quota;
use secrecy::SecretString;
use serde_spanned::Spanned;

use super::file::{self, File};
use super::problem::Problems;
use super::{
    Admin, Alias, Client, Config, Invalid, LISTEN, Limits, Model, OwnQuota, Price, Provider,
};

/// Reads a text, and checks all of it before it gives up.
pub(super) fn check(text: &str, path: &Path) -> Result<Config, Invalid> {
    let mut problems = Problems::new(text);
    let file: File = match toml::from_str(text) {
        Ok(file) => file,
        Err(error) => {
            match error.span() {
                Some(span) => problems.at(&span, error.message()),
                None => problems.overall(error.message()),
            }
            return Err(problems.fail(path));
        }
    };
    let mut check = Check {
        problems,
        path,
        names: HashSet::new(),
    };
    let config = check.file(file);
    check.problems.settle(config, path)
}

struct Check<'a> {
    problems: Problems<'a>,
    path: &'a Path,
    /// What has a name already, and what it is.
    names: HashSet<(&'static str, String)>,
}

impl Check<'_> {
    fn file(&mut self, file: File) -> Config {
        let listen = self.parsed(file.listen.as_ref(), "an address such as `127.0.0.1:8080`");
        let log = self.parsed(file.log.as_ref(), "one of `error`, `warn`, `info`, `debug`");
        let limits = self.limits(&file.limits);
        let mut providers: Vec<_> = file
            .provider
            .into_iter()
            .map(|provider| self.provider(provider.into_inner()))
            .collect();
        let places: BTreeMap<String, usize> = names(&providers, |provider| &provider.name);
        for account in file.account {
            self.account(account.into_inner(), &places, &mut providers);
        }
        for provider in &providers {
            if provider.accounts.is_empty() {
                let name = &provider.name;
                self.problems
                    .overall(format!("the provider `{name}` has no account"));
            }
        }
        let models: Vec<_> = file
            .model
            .into_iter()
            .map(|model| self.model(model.into_inner(), &places))
            .collect();
        let model_places = names(&models, |model| &model.name);
        let mut quotas = Vec::new();
        for quota in file.quota {
            quotas.extend(self.own_quota(&quota.into_inner(), &models, &model_places, &providers));
        }
        let aliases: Vec<_> = file
            .alias
            .into_iter()
            .map(|alias| self.alias(alias.into_inner(), &model_places))
            .collect();
        if models.is_empty() {
            self.problems.overall("there is no `[[model]]`");
        }
        if file.client.is_empty() {
            self.problems
                .overall("there is no `[[client]]`, so nobody could ask");
        }
        let mut known: Vec<SecretString> = Vec::new();
        let admin = self.admin(&file.admin, &mut known);
        let mut clients = Vec::new();
        for client in file.client {
            clients.push(self.client(client.into_inner(), &mut known));
        }
        Config {
            listen: listen.unwrap_or(LISTEN),
            workers: self.positive(file.workers.as_ref(), "workers"),
            log: log.unwrap_or(tracing::Level::INFO),
            deadline: self.duration(file.deadline.as_ref(), 600),
            max_wait: self.duration(file.max_wait.as_ref(), 120),
            limits,
            providers,
            models,
            quotas,
            aliases,
            clients,
            admin,
        }
    }

    fn own_quota(
        &mut self,
        given: &file::OwnQuota,
        models: &[Model],
        places: &BTreeMap<String, usize>,
        providers: &[Provider],
    ) -> Option<OwnQuota> {
        let quota = self.quota(&given.limits);
        let model = self.place(&given.model, "model", places)?;
        let provider = providers.get(models[model].provider)?;
        let account = given.account.get_ref();
        if provider.accounts.iter().all(|known| known.name != *account) {
            let (name, model) = (&provider.name, given.model.get_ref());
            let message = format!("`{name}`, which has `{model}`, has no account `{account}`");
            self.problems.at(&given.account.span(), message);
        }
        Some(OwnQuota {
            account: account.clone(),
            model,
            quota,
        })
    }

    fn admin(&mut self, given: &file::Admin, known: &mut Vec<SecretString>) -> Admin {
        let keys = given.keys.as_ref();
        let keys = keys.map_or(Vec::new(), |keys| {
            let found = self.keys(keys);
            self.unique(&found, &keys.span(), known);
            found
        });
        Admin {
            listen: self.parsed(given.listen.as_ref(), "an address such as `127.0.0.1:9090`"),
            keys,
        }
    }

    fn limits(&mut self, given: &file::Limits) -> Limits {
        let usual = Limits::default();
        if let Some(head) = given.head.as_ref().filter(|head| *head.get_ref() < 8 << 10) {
            self.problems
                .at(&head.span(), "`head` is less than 8192 bytes");
        }
        Limits {
            body: self
                .positive(given.body.as_ref(), "body")
                .unwrap_or(usual.body),
            head: given
                .head
                .as_ref()
                .map_or(usual.head, |head| *head.get_ref()),
            head_within: self.duration(given.head_within.as_ref(), usual.head_within.as_secs()),
            body_within: self.duration(given.body_within.as_ref(), usual.body_within.as_secs()),
            unread: self.duration(given.unread.as_ref(), usual.unread.as_secs()),
            connections: self
                .positive(given.connections.as_ref(), "connections")
                .unwrap_or(usual.connections),
            drain: self.duration(given.drain.as_ref(), usual.drain.as_secs()),
        }
    }

    fn model(&mut self, given: file::Model, places: &BTreeMap<String, usize>) -> Model {
        let provider = self.place(&given.provider, "provider", places);
        let price = given.price.map_or(Price::default(), |price| Price {
            input: self.price(&price.input),
            output: self.price(&price.output),
        });
        let quota = self.quota(&given.quota);
        let first_byte = given.first_byte.is_some();
        let name = self.name("model", given.name);
        Model {
            upstream: given
                .upstream
                .map_or_else(|| name.clone(), Spanned::into_inner),
            name,
            provider: provider.unwrap_or(0),
            quota,
            price,
            context: given.context,
            first_byte: first_byte.then(|| self.duration(given.first_byte.as_ref(), 0)),
        }
    }

    fn quota(&mut self, given: &file::Quota) -> Quota {
        let mut quota = Quota::new();
        for (limit, name, set) in [
            (
                &given.rps,
                "rps",
                Quota::requests_per_second as fn(_, _) -> _,
            ),
            (&given.rpm, "rpm", Quota::requests_per_minute),
            (&given.rpd, "rpd", Quota::requests_per_day),
            (&given.tps, "tps", Quota::tokens_per_second),
            (&given.tpm, "tpm", Quota::tokens_per_minute),
            (&given.tpd, "tpd", Quota::tokens_per_day),
        ] {
            if let Some(most) = self.positive(limit.as_ref(), name) {
                quota = set(quota, most);
            }
        }
        if let Some(most) = self.positive(given.concurrent.as_ref(), "concurrent") {
            quota = quota.concurrent(u32::try_from(most).unwrap_or(u32::MAX));
        }
        if given.bursts {
            quota.allow_bursts()
        } else {
            quota
        }
    }

    fn alias(&mut self, given: file::Alias, places: &BTreeMap<String, usize>) -> Alias {
        if given.chain.get_ref().is_empty() {
            self.problems
                .at(&given.chain.span(), "a chain needs at least one model");
        }
        let chain = given.chain.into_inner();
        let chain = chain
            .iter()
            .filter_map(|name| self.place(name, "model", places))
            .collect();
        Alias {
            name: self.name("model", given.name),
            chain,
            patience: self.duration(given.patience.as_ref(), 2),
        }
    }

    fn client(&mut self, given: file::Client, known: &mut Vec<SecretString>) -> Client {
        let keys = self.keys(&given.keys);
        self.unique(&keys, &given.keys.span(), known);
        for name in &given.models {
            if !self.names.contains(&("model", name.get_ref().clone())) {
                let message = format!("no model and no alias is named `{}`", name.get_ref());
                self.problems.at(&name.span(), message);
            }
        }
        let name = self.name("client", given.name);
        Client {
            keys,
            tenant: given.tenant.unwrap_or_else(|| name.clone()),
            name,
            weight: self
                .positive(given.weight.as_ref(), "weight")
                .unwrap_or(1)
                .min(100),
            priority: given.priority,
            models: given.models.into_iter().map(Spanned::into_inner).collect(),
            rpm: self.positive(given.rpm.as_ref(), "rpm"),
            concurrent: self.positive(given.concurrent.as_ref(), "concurrent"),
        }
    }
}

fn names<T>(items: &[T], name: impl Fn(&T) -> &String) -> BTreeMap<String, usize> {
    let names = items.iter().map(|item| name(item).clone());
    names.zip(0..).collect()
}
