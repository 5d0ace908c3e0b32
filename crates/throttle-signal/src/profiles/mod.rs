//! One table a provider. What is in them, and where it comes from, is said in each.

mod anthropic;
mod azure;
mod baidu;
mod bedrock;
pub(crate) mod generic;
mod github;
mod google;
mod minimax;
mod model_studio;
mod moonshot;
mod openai;
mod openrouter;
mod others;
mod short;
mod tencent;
mod volcengine;
mod zhipu;

use std::sync::LazyLock;

use crate::Profile;
use crate::profile::Table;

/// All tables but the short ones. The first whose host fits is taken, so the narrower comes first.
static LONG: &[Table] = &[
    model_studio::TABLE,
    openai::TABLE,
    anthropic::TABLE,
    github::MODELS,
    azure::TABLE,
    google::VERTEX,
    google::GEMINI,
    bedrock::TABLE,
    moonshot::TABLE,
    zhipu::TABLE,
    baidu::TABLE,
    volcengine::TABLE,
    minimax::TABLE,
    tencent::TABLE,
    openrouter::TABLE,
    github::GITHUB,
    generic::TABLE,
];

static ALL: LazyLock<Vec<Profile>> = LazyLock::new(|| tables().map(Profile::from_table).collect());

static GENERIC: LazyLock<Profile> = LazyLock::new(|| Profile::from_table(&generic::TABLE));

pub(crate) fn tables() -> impl Iterator<Item = &'static Table> {
    LONG.iter().chain(others::TABLES)
}

pub(crate) fn all() -> &'static [Profile] {
    &ALL
}

pub(crate) fn generic() -> Profile {
    GENERIC.clone()
}

/// The built-in profile for a host, the generic one for strangers.
pub(crate) fn for_host(host: &str) -> &'static Profile {
    ALL.iter()
        .find(|profile| profile.is_for(host))
        .unwrap_or(&GENERIC)
}
