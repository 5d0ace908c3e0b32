//! `MiniMax`. Source: API docs "Error codes". The status line never tells; `base_resp.status_code` does.

use super::short::{burst, concurrency, credential, exhausted, overloaded, rate, tokens};
use crate::profile::Table;
use crate::{Rule, Scope};

pub(crate) const TABLE: Table = Table {
    name: "minimax",
    hosts: &[
        "minimax.chat",
        "minimaxi.com",
        "minimax.io",
        "minimaxi.chat",
    ],
    rules: &[RULES],
    in_success: true,
};

const RULES: &[Rule] = &[
    // Passed on by a gateway: it is the gateway's balance.
    exhausted("a gateway's balance", Scope::Server).code(&["insufficient_balance_error"]),
    exhausted("balance", Scope::Account).code(&["1008"]),
    exhausted("plan window", Scope::Account).code(&["2056"]),
    tokens("tokens, in words", Scope::Account)
        .code(&["1002"])
        .text(&["tpm", "token"]),
    rate("requests", Scope::Account).code(&["1002"]),
    tokens("tokens", Scope::Account).code(&["1039"]),
    concurrency("connections", Scope::Account).code(&["1041"]),
    burst("growth", Scope::Account).code(&["2045"]),
    // A time-out of its own, inside a success, where nobody looks for a failure.
    overloaded("time-out", Scope::Server).code(&["1001"]),
    credential("key", Scope::Key).code(&["1004", "2049"]),
    credential("not in the plan", Scope::Model).code(&["2061"]),
];
