//! One table a provider. What is in them, and where it comes from, is said in each.

mod anthropic;
mod azure;
mod baidu;
mod bedrock;
mod china;
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

/// The built-in profiles by the hash of the last two labels of their hosts, sorted.
static BY_DOMAIN: LazyLock<Vec<(u64, usize)>> = LazyLock::new(|| {
    let domains = tables().enumerate();
    let mut domains: Vec<_> = domains
        .flat_map(|(number, table)| table.hosts.iter().map(move |host| (domain(host), number)))
        .collect();
    domains.sort_unstable();
    domains
});

/// The built-in profile for a host, the generic one for strangers.
pub(crate) fn for_host(host: &str) -> &'static Profile {
    let domain = domain(host);
    let from = BY_DOMAIN.partition_point(|(one, _)| *one < domain);
    BY_DOMAIN
        .get(from..)
        .unwrap_or_default()
        .iter()
        .take_while(|(one, _)| *one == domain)
        .filter_map(|(_, number)| ALL.get(*number))
        .find(|profile| profile.is_for(host))
        .unwrap_or(&GENERIC)
}

/// How the hosts end with whose successes errors may come, so that all others' cost next to nothing.
static HIDING: LazyLock<Vec<u64>> = LazyLock::new(|| {
    let hiding = tables().filter(|table| table.in_success);
    hiding
        .flat_map(|table| table.hosts.iter().map(|host| end(host)))
        .collect()
});

/// Whether the built-in profile for a host may be one of those that say so. Most are not, and some
/// strangers are taken for one.
pub(crate) fn may_hide_errors(host: &str) -> bool {
    HIDING.contains(&end(host))
}

/// The last seven letters of a host, in lower case. No host in the tables that ask is shorter.
fn end(host: &str) -> u64 {
    let last = host.bytes().rev().take(7);
    // The bit that makes letters small is set in digits, dots and hyphens.
    last.fold(0, |end, letter| end << 8 | u64::from(letter | 0x20))
}

/// A hash of a host's last two labels, in lower case (FNV-1a, backwards).
fn domain(host: &str) -> u64 {
    let mut dots = 0;
    let last_two = host.bytes().rev().take_while(|byte| {
        dots += u8::from(*byte == b'.');
        dots < 2
    });
    last_two.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_host_whose_successes_hide_errors_is_known_by_its_end() {
        for table in tables().filter(|table| table.in_success) {
            for host in table.hosts {
                assert!(host.len() >= 7, "{host}");
                assert!(may_hide_errors(host), "{host}");
                assert!(may_hide_errors(&format!("eu.{}", host.to_uppercase())));
            }
        }
        for host in ["", "api.openai.com", "localhost", "api.example.com"] {
            assert!(!may_hide_errors(host), "{host}");
        }
    }
}
