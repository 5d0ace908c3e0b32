use serde::Deserialize;
use serde_spanned::Spanned;

/// The file as it is written. What it says is checked in [`check`](super::check).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) listen: Option<Spanned<String>>,
    pub(super) workers: Option<Spanned<usize>>,
    pub(super) log: Option<Spanned<String>>,
    pub(super) deadline: Option<Spanned<String>>,
    pub(super) max_wait: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) limits: Limits,
    #[serde(default)]
    pub(super) admin: Admin,
    #[serde(default)]
    pub(super) provider: Vec<Spanned<Provider>>,
    #[serde(default)]
    pub(super) account: Vec<Spanned<Account>>,
    #[serde(default)]
    pub(super) model: Vec<Spanned<Model>>,
    #[serde(default)]
    pub(super) quota: Vec<Spanned<OwnQuota>>,
    #[serde(default)]
    pub(super) alias: Vec<Spanned<Alias>>,
    #[serde(default)]
    pub(super) client: Vec<Spanned<Client>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Admin {
    pub(super) listen: Option<Spanned<String>>,
    pub(super) keys: Option<Spanned<Vec<Spanned<String>>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    pub(super) body: Option<Spanned<usize>>,
    pub(super) head: Option<Spanned<usize>>,
    pub(super) head_within: Option<Spanned<String>>,
    pub(super) body_within: Option<Spanned<String>>,
    pub(super) unread: Option<Spanned<String>>,
    pub(super) connections: Option<Spanned<usize>>,
    pub(super) drain: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Provider {
    pub(super) name: Spanned<String>,
    pub(super) base_url: Spanned<String>,
    pub(super) profile: Option<Spanned<String>>,
    pub(super) credential: Option<Spanned<Credential>>,
    pub(super) strategy: Option<Spanned<String>>,
}

/// `"bearer"`, `{ header = "x-api-key" }` or `{ query = "key" }`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Credential {
    Bearer,
    Header(String),
    Query(String),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Account {
    pub(super) name: Spanned<String>,
    pub(super) provider: Spanned<String>,
    pub(super) keys: Spanned<Vec<Spanned<String>>>,
    pub(super) weight: Option<Spanned<u32>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Model {
    pub(super) name: Spanned<String>,
    pub(super) provider: Spanned<String>,
    pub(super) upstream: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) quota: Quota,
    pub(super) price: Option<Price>,
    pub(super) context: Option<u64>,
    pub(super) first_byte: Option<Spanned<String>>,
}

/// What one account may use of a model, in place of what is said of the model.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OwnQuota {
    pub(super) account: Spanned<String>,
    pub(super) model: Spanned<String>,
    pub(super) limits: Quota,
}

/// What one account may use of a model.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Quota {
    pub(super) rps: Option<Spanned<u64>>,
    pub(super) rpm: Option<Spanned<u64>>,
    pub(super) rpd: Option<Spanned<u64>>,
    pub(super) tps: Option<Spanned<u64>>,
    pub(super) tpm: Option<Spanned<u64>>,
    pub(super) tpd: Option<Spanned<u64>>,
    pub(super) concurrent: Option<Spanned<u64>>,
    #[serde(default)]
    pub(super) bursts: bool,
}

/// What a million tokens cost.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Price {
    pub(super) input: Spanned<f64>,
    pub(super) output: Spanned<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Alias {
    pub(super) name: Spanned<String>,
    pub(super) chain: Spanned<Vec<Spanned<String>>>,
    pub(super) patience: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Client {
    pub(super) name: Spanned<String>,
    pub(super) keys: Spanned<Vec<Spanned<String>>>,
    pub(super) tenant: Option<String>,
    pub(super) weight: Option<Spanned<u32>>,
    #[serde(default)]
    pub(super) priority: i32,
    #[serde(default)]
    pub(super) models: Vec<Spanned<String>>,
    pub(super) rpm: Option<Spanned<u32>>,
    pub(super) concurrent: Option<Spanned<usize>>,
}
