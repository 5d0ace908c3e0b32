//! `OpenRouter`. Source: API docs "Errors" and "Limits". Once an upstream was asked, the status is 200 and
//! `error.code` is the true one.

use super::short::{exhausted, overloaded, rate};
use crate::profile::Table;
use crate::{Rule, Scope};

pub(crate) const TABLE: Table = Table {
    name: "openrouter",
    hosts: &["openrouter.ai"],
    rules: &[RULES],
    in_success: true,
};

const RULES: &[Rule] = &[
    exhausted("free models a day", Scope::Account).text(&["free-models-per-day"]),
    rate("free models a minute", Scope::Account).text(&["free-models-per-min"]),
    exhausted("key's limit", Scope::Key)
        .status(&[402, 403, 429])
        .text(&["key limit exceeded", "key has reached its limit"]),
    exhausted("requests a day", Scope::Model).text(&["limit_rpd"]),
    rate("requests a minute", Scope::Model).text(&["limit_rpm"]),
    overloaded("upstream", Scope::Model)
        .status(&[429, 503])
        .text(&[
            "provider returned error",
            "rate-limited upstream",
            "rate limited upstream",
        ]),
    overloaded("upstream", Scope::Server).code(&["server_error"]),
    overloaded("upstream", Scope::Server)
        .status(&[502, 503])
        .text(&["provider", "no instances", "overload", "unavailable"]),
    exhausted("credits", Scope::Account).status(&[402]),
];
