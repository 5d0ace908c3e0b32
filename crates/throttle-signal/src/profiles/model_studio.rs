//! Alibaba Cloud Model Studio (DashScope), its OpenAI-compatible and its native form, and the Coding
//! Plan. Codes: Model Studio help, "Error codes"; quotas: "Rate limits" and "Coding Plan FAQ".
//!
//! Its limits are by account and model, and doubled: so many a minute, and a sixtieth of it a second.
//! A refusal says whether requests or tokens were too many but not in which of the two windows, and
//! no `Retry-After` is documented. The typical wait is therefore the second: the shortest that can be
//! true. Whoever is refused again waits longer.

use std::time::Duration;

use super::short::{SECOND, burst, concurrency, credential, exhausted, overloaded, rate, tokens};
use crate::profile::Table;
use crate::{Rule, Scope};

pub(crate) const TABLE: Table = Table {
    name: "model-studio",
    hosts: &["aliyuncs.com", "alibabacloud.com", "qwencloud.com"],
    rules: &[RULES],
    in_success: true,
};

/// The codes mean the same on any host, so a stranger that sends them is read alike.
pub(crate) const CODED: &[Rule] = &[
    exhausted("free tier only", Scope::Model).code(&["*FreeTierOnly*"]),
    exhausted("bill overdue", Scope::Account).code(&["Arrearage", "*BillOverdue"]),
    credential("not purchased", Scope::Account).code(&["CommodityNotPurchased", "*.Unpurchased"]),
    burst("burst code", Scope::Model)
        .code(&["Throttling.BurstRate", "limit_burst_rate"])
        .typical(BURST),
    rate("request code", Scope::Model)
        .code(&[
            "Throttling.RateQuota",
            "Throttling.RateLimit",
            "limit_requests",
        ])
        .typical(SECOND),
    concurrency("concurrency code", Scope::Model)
        .code(&["Throttling.Concurrency*", "limit_concurrency"])
        .typical(SECOND),
    overloaded("overload code", Scope::Server)
        .code(&["Throttling.ServiceOverloaded", "ModelServingError"]),
    overloaded("batch capacity", Scope::Server)
        .code(&["Throttling*", "insufficient_quota"])
        .text(&["system capacity", "batch requests are being throttled"]),
    exhausted("free quota", Scope::Model)
        .code(&["Throttling*", "insufficient_quota"])
        .text(FREE),
    rate("request anchor", Scope::Model)
        .text(&["error-code#rate-limit"])
        .typical(SECOND),
    exhausted("overdue anchor", Scope::Account).text(&["error-code#overdue-payment"]),
    tokens("token anchor", Scope::Model)
        .text(&["error-code#token-limit"])
        .typical(SECOND),
    tokens("token code", Scope::Model)
        .code(&["Throttling.AllocationQuota", "limit_tokens"])
        .typical(SECOND),
];

const RULES: &[Rule] = &[
    // The Coding Plan says which window by the first word alone, whatever the code.
    concurrency("plan concurrency", Scope::Account)
        .text(&["concurrency allocated quota"])
        .typical(SECOND),
    exhausted("plan window", Scope::Account).text(&[
        "hour allocated quota",
        "hours allocated quota",
        "day allocated quota",
        "week allocated quota",
        "month allocated quota",
    ]),
    tokens("plan usage", Scope::Account)
        .text(&["usage allocated quota"])
        .typical(Duration::from_secs(3600)),
    // Codes, by what else is said where one has several meanings.
    CODED[0],
    CODED[1],
    CODED[2],
    CODED[3],
    CODED[4],
    CODED[5],
    CODED[6],
    CODED[7],
    CODED[8],
    CODED[9],
    CODED[10],
    CODED[11],
    CODED[12],
    exhausted("budget", Scope::Account).code(&["*BudgetLimit*", "*.Budget*"]),
    // OpenAI's words for "out of money"; here a limit by the minute or second.
    tokens("insufficient_quota", Scope::Model)
        .status(&[429])
        .code(&["insufficient_quota"])
        .typical(SECOND),
    rate("route", Scope::Server)
        .code(&["Throttling"])
        .text(&["in route"]),
    rate("user throttling", Scope::Account)
        .code(&["Throttling.User", "Throttling.Api"])
        .typical(SECOND),
    credential("model access", Scope::Model).code(&["Model.AccessDenied", "model_access_denied"]),
    credential("workspace access", Scope::Account)
        .code(&["Workspace.AccessDenied", "AccessDenied"]),
    credential("key", Scope::Key).code(&["InvalidApiKey", "invalid_api_key", "APIKey*"]),
    // Words, for codes to come.
    exhausted("free quota", Scope::Model)
        .status(REFUSED)
        .text(FREE),
    exhausted("overdue", Scope::Account).status(REFUSED).text(&[
        "overdue",
        "arrear",
        "in good standing",
        "欠费",
    ]),
    burst("growth", Scope::Model)
        .status(REFUSED)
        .text(&["rate increased too quickly", "scale requests more smoothly"])
        .typical(BURST),
    overloaded("capacity", Scope::Server)
        .status(REFUSED)
        .text(&["system capacity", "overload", "服务繁忙"]),
    concurrency("in flight", Scope::Model)
        .status(REFUSED)
        .text(&["concurren", "并发"])
        .typical(SECOND),
    rate("requests", Scope::Model)
        .status(REFUSED)
        .text(&[
            "requests rate limit",
            "request limit",
            "requests list",
            "requests limit",
            "rpm",
            "rps",
            "qps",
        ])
        .typical(SECOND),
    tokens("tokens", Scope::Model)
        .status(REFUSED)
        .text(&[
            "allocated quota exceeded",
            "current quota",
            "token",
            "tpm",
            "tps",
        ])
        .typical(SECOND),
    rate("throttling", Scope::Unknown)
        .code(&["Throttling", "Throttling.*"])
        .typical(SECOND),
];

const REFUSED: &[u16] = &[400, 403, 429, 500, 503];

const BURST: Duration = Duration::from_secs(10);

const FREE: &[&str] = &[
    "free allocated quota",
    "free quota",
    "free tier of the model",
    "free tier has been",
    "免费额度",
];
