//! For strangers: codes and words that mean the same nearly everywhere, then the status.

use super::model_studio;
use super::short::{
    SOON, burst, concurrency, credential, exhausted, harmless, overloaded, rate, tokens,
};
use crate::profile::Table;
use crate::{Rule, Scope};

/// Its rules come after those of every table, this one's too.
pub(crate) const TABLE: Table = Table {
    name: "generic",
    hosts: &[],
    rules: &[],
    in_success: false,
};

pub(crate) const RULES: &[&[Rule]] = &[CODES, model_studio::CODED, WORDS, STATUS];

/// Statuses under which words about rates are believed.
const SLOWED: &[u16] = &[403, 413, 429, 498, 503, 529];

/// Statuses under which words about money are believed.
const BROKE: &[u16] = &[400, 402, 403, 412, 429, 500, 503];

/// Statuses under which words about keys are believed.
const DENIED: &[u16] = &[400, 401, 403];

const CODES: &[Rule] = &[
    harmless("size").status(&[400, 403, 413, 422]).code(&[
        "context_length_exceeded",
        "request_too_large",
        "string_above_max_length",
        "tokens_limit_reached",
        "payload_too_large",
    ]),
    harmless("content").code(&[
        "content_filter",
        "content_policy_violation",
        "data_inspection_failed",
        "DataInspectionFailed",
    ]),
    credential("key code", Scope::Key)
        .status(&[400, 401, 403, 429])
        .code(&[
            "invalid_api_key",
            "InvalidApiKey",
            "invalid_authentication*",
            "authentication_error",
            "AuthenticationError",
            "authentication_failed",
            "API_KEY_*",
            "ACCESS_TOKEN_*",
            "UNAUTHENTICATED",
            "UnrecognizedClientException",
            "InvalidSignatureException",
            "ExpiredTokenException",
            "invalid_token",
            "token_expired",
            "key_expired",
            "*key_disabled",
        ]),
    credential("permission code", Scope::Unknown)
        .status(&[403])
        .code(&[
            "permission_error",
            "PERMISSION_DENIED",
            "permission_denied",
            "AccessDenied*",
            "access_denied",
            "SERVICE_DISABLED",
            "account_deactivated",
        ]),
    exhausted("terminal quota", Scope::Account)
        .code(&["insufficient_quota"])
        .text(&["platform.openai.com/docs/guides/error-codes"]),
    exhausted("money code", Scope::Account).code(&[
        "insufficient_user_quota",
        "insufficient_balance*",
        "insufficient_credit*",
        "insufficient_funds",
        "InsufficientBalance*",
        "billing_hard_limit_reached",
        "billing_not_active",
        "billing_error",
        "credit_limit",
        "credits_exhausted",
        "credit_exhausted",
        "out_of_credits",
        "payment_required",
        "budget_exceeded",
        "*spend_limit*",
        "usage_limit_reached",
        "usage_limit_exceeded",
        "free_quota_exceeded",
        "quota_exhausted",
        "QUOTA_EXHAUSTED",
        "pre_consume_token_quota_failed",
        "Arrears",
    ]),
    // Codes that no two providers use for two things.
    exhausted("a day's quota id", Scope::Model)
        .status(SLOWED)
        .code(&["*PerDayPer*"]),
    tokens("token quota id", Scope::Model)
        .status(SLOWED)
        .code(&["*TokensPerM*", "*TPMExceeded", "*TpmRateLimit*"]),
    rate("request quota id", Scope::Model)
        .status(SLOWED)
        .code(&["*RequestsPerM*", "*RPMExceeded", "*RpmRateLimit*"]),
    exhausted("self-set limit", Scope::Model)
        .code(&["SetLimitExceeded", "INSUFFICIENT_G1_CREDITS*"]),
    concurrency("in flight code", Scope::Account)
        .code(&["InflightBatchsize*", "RequestLimitExceeded.JobNum*"]),
    exhausted("plan window", Scope::Account).text(&[
        "hour allocated quota",
        "week allocated quota",
        "month allocated quota",
    ]),
    burst("burst code", Scope::Unknown).code(&[
        "slow_down",
        "SlowDown",
        "*#abnormal-usage-detected",
    ]),
    overloaded("overload code", Scope::Server).code(&[
        "overloaded_error",
        "*overloaded*",
        "server_busy",
        "server_is_busy",
        "capacity_exceeded",
        "*capacity_exhausted",
        "*#temporary-reduced-capacity",
        "service_unavailable",
        "service_unavailable_error",
        "ServiceUnavailable*",
        "ModelNotReadyException",
    ]),
    rate("rate code", Scope::Unknown)
        .code(&[
            "RATE_LIMITED",
            "THROTTLED",
            "ratelimited",
            "too_many_requests_error",
        ])
        .unsure(),
    concurrency("concurrency code", Scope::Unknown)
        .status(SLOWED)
        .code(&["*concurren*"]),
];

const WORDS: &[Rule] = &[
    tokens("larger than the limit", Scope::Unknown)
        .status(&[413, 429])
        .text(&["request too large", "prompt is too large"])
        .and(&["tokens per", "tpm", "token limit"])
        .retry(false),
    concurrency("in flight", Scope::Unknown)
        .status(SLOWED)
        .text(&[
            "concurren",
            "simultaneous",
            "parallel request",
            "in flight",
            "in-flight",
            "too many connections",
            "too many open",
            "并发",
        ]),
    exhausted("money", Scope::Account).status(BROKE).text(&[
        "insufficient balance",
        "insufficient account balance",
        "insufficient credit",
        "insufficient funds",
        "balance is insufficient",
        "balance insufficient",
        "balance is too low",
        "balance exhausted",
        "not enough balance",
        "not enough credit",
        "no credits",
        "out of credits",
        "credits exhausted",
        "credits depleted",
        "credits have been",
        "used all available credits",
        "more credits",
        "included credits",
        "credit balance",
        "credit limit",
        "spending limit",
        "spend limit",
        "spending cap",
        "budget has been exceeded",
        "exceeded budget",
        "hard limit",
        "payment required",
        "account is not active",
        "account has been suspended",
        "account is suspended",
        "suspended due to",
        "overdue",
        "in arrears",
        "余额不足",
        "余额已",
        "欠费",
        "额度已用尽",
        "额度已用完",
        "额度不足",
        "credits are depleted",
        "run out of",
        "资源包",
    ]),
    exhausted("plan window", Scope::Account)
        .status(BROKE)
        .text(&[
            "usage limit",
            "usage quota",
            "usage cap",
            "plan limit",
            "free quota",
            "free tier quota",
            "free allocation",
            "monthly quota",
            "monthly limit",
            "monthly included",
            "weekly limit",
            "weekly usage",
            "5-hour",
            "5 hour",
            "call volume quota",
            "trial quota",
            "trial has ended",
            "trial expired",
            "lifetime limit",
        ]),
    tokens("tokens a day, refilling", Scope::Unknown)
        .status(SLOWED)
        .text(DAY)
        .and(&["token"])
        .wait_under(SOON),
    rate("requests a day, refilling", Scope::Unknown)
        .status(SLOWED)
        .text(DAY)
        .wait_under(SOON),
    exhausted("a day's", Scope::Unknown)
        .status(SLOWED)
        .text(DAY),
    exhausted("a month's", Scope::Unknown)
        .status(SLOWED)
        .text(&[
            "per month",
            "/ month",
            "/month",
            "per week",
            "/ week",
            "本月",
        ]),
    burst("growth", Scope::Unknown).status(SLOWED).text(&[
        "increased too quickly",
        "increase too quickly",
        "traffic growth",
        "request burst",
        "acceleration limit",
        "increase your usage gradually",
        "secondary rate limit",
        "slow down your rate of growth",
    ]),
    overloaded("somebody else's", Scope::Model)
        .status(SLOWED)
        .text(&[
            "rate-limited upstream",
            "rate limited upstream",
            "no deployments available",
            "no available channel",
            "无可用渠道",
            "负载已饱和",
        ]),
    overloaded("busy", Scope::Server)
        .status(&[400, 429, 498, 500, 502, 503, 504, 529])
        .text(&[
            "overload",
            "at capacity",
            "capacity limit",
            "capacity exceeded",
            "no capacity",
            "insufficient capacity",
            "out of capacity",
            "too busy",
            "is busy",
            "busy now",
            "high demand",
            "high load",
            "heavy load",
            "high traffic",
            "temporarily unavailable",
            "not ready yet",
            "繁忙",
            "负载",
            "访问量过大",
            "过载",
        ]),
    tokens("a model's tokens", Scope::Model)
        .status(SLOWED)
        .text(&["token rate", "tokens per", "tpm"])
        .and(&["model group", "deployment", "for model"]),
    tokens("tokens", Scope::Unknown).status(SLOWED).text(&[
        "tokens per",
        "token per",
        "tokens/min",
        "tokens / min",
        "token rate",
        "tokens rate",
        "token limit",
        "tokens limit",
        "token quota",
        "token usage",
        "too many tokens",
        "input tokens",
        "output tokens",
        "tpm",
    ]),
    rate("requests", Scope::Account)
        .status(SLOWED)
        .text(&["logged in user", "your account's rate limit", "for user id"])
        .unsure(),
    rate("requests", Scope::Unknown)
        .status(SLOWED)
        .text(&[
            "requests per",
            "request per",
            "requests/min",
            "calls per",
            "queries per",
            "too many request",
            "request rate",
            "requests rate",
            "call rate",
            "rate limit",
            "rate-limit",
            "ratelimit",
            "rate exceeded",
            "rate_limit",
            "too fast",
            "too frequent",
            "throttl",
            "rpm",
            "rps",
            "qps",
            "频率",
            "频繁",
            "限流",
            "请求过多",
        ])
        .unsure(),
    rate("edge", Scope::Unknown).code(&["error code: 1015"]),
    tokens("insufficient_quota of a stranger", Scope::Unknown)
        .status(&[429])
        .code(&["insufficient_quota"])
        .unsure()
        .until_it_lasts(),
    credential("key", Scope::Key).status(DENIED).text(&[
        "api key not valid",
        "invalid api key",
        "invalid api-key",
        "incorrect api key",
        "invalid x-api-key",
        "invalid token",
        "invalid authentication",
        "authentication failed",
        "unauthorized",
        "api key expired",
        "api key has expired",
        "api key is missing",
        "no api key",
        "无效的令牌",
    ]),
];

const DAY: &[&str] = &[
    "per day",
    "/ day",
    "/day",
    "per-day",
    "a day",
    "per 86400s",
    "daily",
    "requests today",
    "for today",
    "(rpd)",
    "(tpd)",
    "tpd rate",
    "今日",
    "当日",
    "每日",
];

const STATUS: &[Rule] = &[
    rate("429", Scope::Unknown).status(&[429]).unsure(),
    overloaded("503", Scope::Server).status(&[498, 503, 524, 529]),
    exhausted("402", Scope::Account).status(&[402]),
    credential("401", Scope::Key).status(&[401]),
];
