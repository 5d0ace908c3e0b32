use fallback_layer::{Candidate, ErrorFn, FallbackLayer};
use http::HeaderValue;
use key_rotation_layer::InvalidPool;

use crate::config::{Alias, Config, Model, Price};
use crate::dispatch::PLACE;
use crate::gate::Gate;
use crate::line::Line;
use crate::upstream::Broken;

/// A configuration in force, and all that is known under it.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) config: Config,
    pub(crate) lines: Vec<Line>,
    /// What a caller may name as a model, and the way to it.
    pub(crate) ways: Vec<(String, Way)>,
    pub(crate) gate: Gate,
    /// When the relay began, in seconds since 1970: what `GET /v1/models` gives as the age of models.
    pub(crate) created: u64,
}

/// The way to what a caller names as a model.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// To a provider, as the request is.
    Direct(usize),
    /// Along a chain, which rewrites the request.
    Chain(FallbackLayer<ErrorFn<Broken>>),
}

impl Setup {
    /// Puts a configuration in force, going on with what `old` knows.
    ///
    /// # Errors
    ///
    /// A key cannot be used.
    pub(crate) fn new(config: Config, old: Option<&Self>, now: u64) -> Result<Self, InvalidPool> {
        let mut lines = Vec::new();
        for (place, provider) in config.providers.iter().enumerate() {
            let old = old.and_then(|old| {
                let providers = old.config.providers.iter().zip(&old.lines);
                providers.clone().find(|(old, _)| old.name == provider.name)
            });
            lines.push(Line::build(&config, place, old)?);
        }
        let mut ways: Vec<(String, Way)> = Vec::new();
        for alias in &config.aliases {
            ways.push((alias.name.clone(), chain(&config, alias)));
        }
        for model in &config.models {
            let plain = model.name == model.upstream && model.first_byte.is_none();
            let way = if plain {
                Way::Direct(model.provider)
            } else {
                Way::Chain(layer([candidate(model)]))
            };
            ways.push((model.name.clone(), way));
        }
        Ok(Self {
            gate: Gate::new(
                &config.clients,
                &config.admin.keys,
                old.map(|old| &old.gate),
            ),
            lines,
            ways,
            created: old.map_or(now, |old| old.created),
            config,
        })
    }

    /// What a model costs at a provider.
    pub(crate) fn price(&self, account: &str, upstream: &str) -> Price {
        let models = self.config.models.iter();
        let found = models.clone().find(|model| {
            let accounts = &self.config.providers[model.provider].accounts;
            model.upstream == upstream && accounts.iter().any(|known| known.name == account)
        });
        found.map_or(Price::default(), |model| model.price)
    }
}

fn chain(config: &Config, alias: &Alias) -> Way {
    let models = alias.chain.iter().map(|place| &config.models[*place]);
    Way::Chain(layer(
        models.map(|model| candidate(model).patience(alias.patience)),
    ))
}

fn layer(candidates: impl IntoIterator<Item = Candidate>) -> FallbackLayer<ErrorFn<Broken>> {
    let layer = FallbackLayer::try_new(candidates);
    // The check of the configuration lets no empty chain through; one that is would pass requests on.
    let layer = layer.unwrap_or_else(|_| FallbackLayer::new([Candidate::named("none")]));
    layer.on_error(Broken::is_unsent)
}

fn candidate(model: &Model) -> Candidate {
    let mut candidate = Candidate::model(model.upstream.as_str())
        .name(model.name.as_str())
        .header(PLACE, HeaderValue::from(model.provider));
    if let Some(context) = model.context {
        candidate = candidate.context(context);
    }
    if let Some(within) = model.first_byte {
        candidate = candidate.first_byte(within);
    }
    candidate
}
