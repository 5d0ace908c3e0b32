//! Baidu Qianfan. Sources: "Error codes" of v1 (a number inside a 200) and v2.

use super::short::{concurrency, credential, exhausted, harmless, overloaded, rate, tokens};
use crate::profile::Table;
use crate::{Rule, Scope};

pub(crate) const TABLE: Table = Table {
    name: "qianfan",
    hosts: &["baidubce.com", "baidu.com"],
    rules: &[RULES],
    in_success: true,
};

const RULES: &[Rule] = &[
    // A model that is not there, under a 401.
    harmless("model").code(&["invalid_model"]),
    overloaded("cluster", Scope::Server).code(&[
        "4",
        "336100",
        "cluster_rate_limit_exceeded",
        "*_server_busy",
        "server_busy",
    ]),
    exhausted("a day's", Scope::Account).code(&["17"]),
    rate("calls a second", Scope::Account).code(&["18"]),
    exhausted("total", Scope::Account).code(&["19"]),
    rate("requests", Scope::Model).code(&[
        "336501",
        "rpm_rate_limit_exceeded",
        "preemptible_rate_limit_exceeded",
    ]),
    tokens("tokens", Scope::Model).code(&["336502", "tpm_rate_limit_exceeded"]),
    rate("user", Scope::Account).code(&["user_rate_limit_exceeded", "336503"]),
    concurrency("in flight", Scope::Account).code(&["*concurrency*"]),
    exhausted("plan", Scope::Account).code(&[
        "coding_plan_*",
        "*_quota_exceeded",
        "account_overdue*",
        "*overdue*",
    ]),
    credential("key", Scope::Key).code(&[
        "100",
        "336007",
        "110",
        "111",
        "invalid_iam_token",
        "expired_iam_token",
        "invalid_iam_signature",
    ]),
    credential("permission", Scope::Account).code(&[
        "6",
        "14",
        "no_permission*",
        "account_not_authenticated",
    ]),
];
