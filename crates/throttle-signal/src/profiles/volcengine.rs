//! Volcengine Ark and `BytePlus` `ModelArk`. Source: "Public error codes" (82379/1299023).

use super::short::{burst, concurrency, credential, exhausted, overloaded, rate, tokens};
use crate::profile::Table;
use crate::{Rule, Scope};

pub(crate) const TABLE: Table = Table {
    name: "ark",
    hosts: &[
        "volces.com",
        "volcengineapi.com",
        "volcengine.com",
        "bytepluses.com",
        "byteplusapi.com",
    ],
    rules: &[RULES],
    in_success: false,
};

const RULES: &[Rule] = &[
    exhausted("self-set limit", Scope::Model).code(&["SetLimitExceeded"]),
    exhausted("overdue", Scope::Account).code(&["AccountOverdue*", "*ServiceOverdue"]),
    exhausted("plan window", Scope::Account)
        .code(&["QuotaExceeded", "AccountQuotaExceeded"])
        .text(&["usage quota", "reset at", "hour quota", "weekly", "monthly"]),
    concurrency("queued tasks", Scope::Account)
        .code(&["QuotaExceeded"])
        .text(&["queue", "tasks"]),
    exhausted("free trial", Scope::Model).code(&["QuotaExceeded"]),
    exhausted("quota", Scope::Account).code(&[
        "AccountQuotaExceeded",
        "InsufficientBalance*",
        "QuotaExceeded.*",
        "*PlanQuotaExceeded",
    ]),
    burst("ramp", Scope::Model).code(&["RequestBurstTooFast"]),
    // The burst code of older models: documented only from doubao-seed-2.0 on as one of its own.
    burst("ramp of an older model", Scope::Model)
        .code(&["ServerOverloaded"])
        .model(&["doubao-seed-1*", "doubao-1*", "doubao-pro*", "doubao-lite*"]),
    overloaded("overloaded", Scope::Server)
        .code(&["ServerOverloaded", "InternalServiceError.Overload*"]),
    overloaded("model loading", Scope::Model).code(&["ModelLoading*"]),
    concurrency("in flight", Scope::Account)
        .status(&[403, 429, 500, 503])
        .code(&["InflightBatchsize*", "*Concurren*"]),
    tokens("account's tokens", Scope::Account).code(&["APIAccountTpm*", "AccountTpm*"]),
    rate("account's requests", Scope::Account).code(&[
        "APIAccountRpm*",
        "AccountRateLimit*",
        "AccountRpm*",
    ]),
    tokens("tokens", Scope::Model).code(&["*TPM*"]),
    rate("requests", Scope::Model).code(&["*RPM*", "*IPM*", "RateLimitExceeded*"]),
    credential("not open", Scope::Model).code(&[
        "ModelNotOpen",
        "*ServiceNotOpen",
        "InvalidEndpoint.ClosedEndpoint",
    ]),
    credential("no plan", Scope::Account).code(&["InvalidSubscription*"]),
    credential("account", Scope::Account).code(&[
        "InvalidAccountStatus",
        "AccessDenied",
        "OperationDenied.*",
    ]),
];
