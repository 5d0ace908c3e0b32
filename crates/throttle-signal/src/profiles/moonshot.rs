//! Moonshot (Kimi). Source: API docs "Error codes". Limits are an organization's; the wait in the
//! message is a constant.

use super::short::{concurrency, credential, exhausted, overloaded, rate, tokens};
use crate::profile::Table;
use crate::{Rule, Scope};

pub(crate) const TABLE: Table = Table {
    name: "moonshot",
    hosts: &["moonshot.cn", "moonshot.ai", "kimi.com"],
    rules: &[RULES],
    in_success: false,
};

const RULES: &[Rule] = &[
    exhausted("money", Scope::Account).code(&["exceeded_current_quota_error"]),
    overloaded("engine", Scope::Server).code(&["engine_overloaded_error"]),
    // On the coding plan the engine's words stand for the plan's window.
    exhausted("plan window", Scope::Account)
        .code(&["rate_limit_error"])
        .text(&["engine is currently overloaded"]),
    overloaded("server", Scope::Server).text(&["receiving too many requests"]),
    concurrency("in flight", Scope::Account)
        .status(SLOWED)
        .text(&["concurrency", "concurrent"]),
    exhausted("tokens a day", Scope::Account)
        .status(SLOWED)
        .text(&["tpd", "rpd", "per day", "daily"]),
    tokens("tokens", Scope::Account)
        .status(SLOWED)
        .text(&["tpm", "tokens per", "token rate"]),
    exhausted("plan window", Scope::Account)
        .status(&[403, 429])
        .text(&["usage limit", "billing cycle"]),
    rate("requests", Scope::Account)
        .status(SLOWED)
        .code(&["rate_limit_reached_error"]),
    credential("key", Scope::Key)
        .code(&["incorrect_api_key_error", "invalid_authentication_error"]),
    credential("permission", Scope::Account)
        .code(&["permission_denied_error", "access_terminated_error"]),
];

const SLOWED: &[u16] = &[429];
