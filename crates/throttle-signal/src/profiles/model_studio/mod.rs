//! Alibaba Cloud Model Studio (DashScope), its OpenAI-compatible and its native form, and the Coding
//! Plan. Codes: Model Studio help, "Error codes"; quotas: "Rate limits" and "Coding Plan FAQ".
//!
//! Its limits are by account and model, and doubled: so many a minute, and a sixtieth of it a second.
//! A refusal says whether requests or tokens were too many but not in which of the two windows, and
//! no `Retry-After` is documented. The typical wait is therefore the second: the shortest that can be
//! true. Whoever is refused again waits longer.

mod words;

use std::time::Duration;

use words::{FREE, MONEY, USED_UP};

use super::generic::{chinese, families};
use super::short::{
    SECOND, burst, concurrency, credential, exhausted, harmless, overloaded, rate, tokens,
};
use crate::profile::Table;
use crate::{Rule, Scope};

pub(crate) const TABLE: Table = Table {
    name: "model-studio",
    hosts: &[
        "aliyuncs.com",
        "alibabacloud.com",
        "qwencloud.com",
        "qwen.ai",
    ],
    rules: &[
        PLAN,
        CODED,
        INSIDE,
        AT_ONCE,
        families::SPENT,
        chinese::SPENT,
        TOKENS,
        RULES,
        families::CROWDED,
        chinese::CROWDED,
    ],
    in_success: true,
};

/// The codes mean the same on any host, so a stranger that sends them is read alike.
pub(crate) const CODED: &[Rule] = &[
    exhausted("store of voices", Scope::Account)
        .code(&["Throttling*", "insufficient_quota"])
        .text(&[
            "storage limit",
            "voice limit",
            "number limit",
            "当前的配额为",
            "音色数",
            "数量已达",
        ]),
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
            "LimitRequests",
            "limit_requests",
        ])
        .typical(SECOND),
    concurrency("concurrency code", Scope::Model)
        .code(&["Throttling.Concurrency*", "limit_concurrency"])
        .typical(SECOND),
    overloaded("overload code", Scope::Server).code(&[
        "Throttling.ServiceOverloaded",
        "ModelServingError",
        "ModelUnavailable",
        "Throttling.ResourceExhausted",
    ]),
    // The code inside says that it is the model's, whatever the sentence is.
    overloaded("model serving", Scope::Server)
        .code(&[
            "Throttling*",
            "InternalError*",
            "internal_error",
            "server_error",
        ])
        .text(&["model serving"])
        .and(&["too many requests", "throttl"]),
    overloaded("no server for it", Scope::Server)
        .code(&["InternalError*"])
        .text(&["no backend", "rejected by inference engine"]),
    overloaded("batch capacity", Scope::Server)
        .code(&["Throttling*", "insufficient_quota"])
        .text(&["system capacity", "batch requests are being throttled"]),
    exhausted("free quota", Scope::Model)
        .code(&["Throttling*", "insufficient_quota"])
        .text(FREE),
    exhausted("a plan's quota", Scope::Account)
        .code(&["Throttling*", "insufficient_quota"])
        .text(USED_UP),
    exhausted("money, by a rate's code", Scope::Account)
        .code(&["Throttling.AllocationQuota", "insufficient_quota"])
        .text(MONEY),
    rate("request anchor", Scope::Model)
        .text(&["error-code#rate-limit"])
        .typical(SECOND),
    exhausted("overdue anchor", Scope::Account).text(&["error-code#overdue-payment"]),
];

/// After words about money: the code is also sent when a plan's quota is gone.
pub(crate) const TOKENS: &[Rule] = &[
    tokens("token anchor", Scope::Model)
        .text(&["error-code#token-limit"])
        .typical(SECOND),
    tokens("token code", Scope::Model)
        .code(&["Throttling.AllocationQuota", "limit_tokens"])
        .typical(SECOND),
];

/// What comes with a 200 in a frame of a websocket, where no status tells a client's fault.
const INSIDE: &[Rule] = &[
    harmless("a client's fault").status(&[200]).code(&[
        "InvalidParameter*",
        "invalid_parameter*",
        "invalid_request_error",
        "invalid_value",
        "BadRequest*",
        "InvalidURL*",
        "InvalidFile*",
        "ModelNotFound",
        "model_not_found",
        "NotFound",
    ]),
    harmless("roles")
        .code(&["ServiceUnavailableError"])
        .text(&["must be"]),
];

const AT_ONCE: &[Rule] = &[
    concurrency("at once", Scope::Model)
        .status(&[403, 429, 503])
        .text(families::TOGETHER)
        .typical(SECOND),
    concurrency("at once", Scope::Model)
        .status(&[403, 429, 503])
        .text(chinese::TOGETHER)
        .typical(SECOND),
];

// The Coding Plan says which window by the first word alone, whatever the code.
const PLAN: &[Rule] = &[
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
    exhausted("a plan's quota", Scope::Account)
        .status(REFUSED)
        .text(USED_UP)
        .without(FREE),
];

const RULES: &[Rule] = &[
    exhausted("budget", Scope::Account).code(&["*BudgetLimit*", "*.Budget*"]),
    // OpenAI's words for "out of money"; here a limit by the minute or second.
    tokens("insufficient_quota", Scope::Model)
        .status(&[429])
        .code(&["insufficient_quota"])
        .typical(SECOND),
    rate("route", Scope::Server)
        .code(&["Throttling"])
        .text(&["in route"]),
    concurrency("jobs running", Scope::Account)
        .code(&["Throttling"])
        .text(&["job in running, please retry"]),
    exhausted("jobs allowed", Scope::Account)
        .code(&["Throttling"])
        .text(&["allowed per user"]),
    overloaded("resources of the cloud", Scope::Server).code(&["ResourceExhausted"]),
    rate("requests, by the general code", Scope::Unknown)
        .code(&["Throttling", "Throttling.*"])
        .text(&["too many request", "rate limit", "frequent"])
        .typical(SECOND),
    rate("user throttling", Scope::Account)
        .code(&["Throttling.User", "Throttling.Api"])
        .typical(SECOND),
    exhausted("overdue", Scope::Account).status(REFUSED).text(&[
        "overdue",
        "arrear",
        "in good standing",
        "in debt",
        "欠费",
    ]),
    credential("model access", Scope::Model).code(&["Model.AccessDenied", "model_access_denied"]),
    // The way it was called is at fault, not who called.
    harmless("way of calling")
        .code(&["AccessDenied", "access_denied"])
        .text(&["synchronous calls"]),
    rate("requests, by a denial", Scope::Unknown)
        .code(&["AccessDenied"])
        .text(&["rate limit", "too many requests", "too frequent", "限流"])
        .typical(SECOND),
    credential("only for agents", Scope::Account).text(&["only available for coding agents"]),
    credential("workspace access", Scope::Account).code(&[
        "*.AccessDenied",
        "AccessDenied",
        "access_denied",
        "NOT AUTHORIZED",
    ]),
    credential("key", Scope::Key).code(&[
        "InvalidApiKey",
        "invalid_api_key",
        "APIKey*",
        "InvalidAccessKeyId*",
        "SignatureDoesNotMatch",
        "IncompleteSignature",
        "InvalidSecurityToken*",
    ]),
    // Of the cloud's management interface.
    exhausted("how many there may be", Scope::Account)
        .status(REFUSED)
        .code(&["QuotaExceed*", "*.QuotaExceed*"]),
    credential("management access", Scope::Account).code(&[
        "Forbidden.*",
        "NoPermission*",
        "*NotAuthori*",
    ]),
    credential("model access, in words", Scope::Model)
        .status(&[403])
        .text(&["access to model", "model access", "eligible for using"]),
    // Words, for codes to come.
    exhausted("free quota", Scope::Model)
        .status(REFUSED)
        .text(FREE),
    burst("growth", Scope::Model)
        .status(SLOWED)
        .text(&["rate increased too quickly", "scale requests more smoothly"])
        .typical(BURST),
    rate("requests", Scope::Model)
        .status(&[429])
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
        .status(&[429])
        .text(&[
            "allocated quota exceeded",
            "current quota",
            "token",
            "tpm",
            "tps limit",
            "tps)",
        ])
        .typical(SECOND),
    rate("throttling", Scope::Unknown)
        .code(&["Throttling", "Throttling.*"])
        .typical(SECOND)
        .last(),
];

/// Statuses under which words about money are believed.
const REFUSED: &[u16] = &[400, 402, 403, 429];

/// Statuses under which words about limits are. Under 400 they are about parameters.
const SLOWED: &[u16] = &[429, 500, 503];

const BURST: Duration = Duration::from_secs(10);
