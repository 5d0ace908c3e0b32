//! One table a provider. What is in them, and where it comes from, is said in each.

pub(crate) mod generic;
mod model_studio;
mod openai;
mod short;

use std::sync::LazyLock;

use crate::Profile;
use crate::profile::Table;

/// All tables. The first whose host fits is taken, so the narrower host comes first.
pub(crate) static TABLES: &[Table] = &[model_studio::TABLE, openai::TABLE, generic::TABLE];

static ALL: LazyLock<Vec<Profile>> =
    LazyLock::new(|| TABLES.iter().map(Profile::from_table).collect());

static GENERIC: LazyLock<Profile> = LazyLock::new(|| Profile::from_table(&generic::TABLE));

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
