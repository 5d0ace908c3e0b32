//! For strangers: codes and words that mean the same nearly everywhere, then the status.

mod chinese;
mod denied;
mod money;
mod words;

use super::model_studio;
use super::short::{
    SOON, burst, concurrency, credential, exhausted, harmless, overloaded, rate, tokens,
};
use crate::profile::Table;
use crate::when::LONGEST;
use crate::{Rule, Scope};

/// Its rules come after those of every table, this one's too.
pub(crate) const TABLE: Table = Table {
    name: "generic",
    hosts: &[],
    rules: &[],
    in_success: false,
};

pub(crate) const RULES: &[&[Rule]] = &[
    BORROWED,
    CODES,
    model_studio::CODED,
    words::FIRST,
    chinese::FIRST,
    money::WORDS,
    chinese::WORDS,
    words::WORDS,
    chinese::LAST,
    denied::WORDS,
    denied::CHINESE,
    VAGUE,
    STATUS,
];

/// What gRPC's own libraries say with the status of a limit. It comes before the rules of every table.
pub(crate) const LIBRARY: &[Rule] = &[harmless("message size").text(&[
    "message larger than max",
    "message exceeds maximum size",
    "message length too large",
])];

/// Statuses under which words about rates are believed.
const SLOWED: &[u16] = &[403, 413, 429, 498, 503, 529];

/// Statuses of a server without room.
const BUSY: &[u16] = &[429, 498, 500, 502, 503, 504, 524, 529];

/// Gateways borrow codes for what is their own, and say in words what they mean.
const BORROWED: &[Rule] = &[
    // Relays put one sentence over whatever was refused with a 429; the code is what it was.
    exhausted("a user's quota", Scope::Account).code(&["insufficient_user_quota"]),
    overloaded("somebody else's", Scope::Model)
        .status(SLOWED)
        .text(&[
            "rate-limited upstream",
            "rate limited upstream",
            "upstream rate",
            "upstream is rate",
            "upstream provider is rate",
            "upstream returned 429",
            "upstream 429",
            "no channel available",
            "上游负载",
            "上游限流",
            "no deployments available",
            "no available channel",
            "无可用渠道",
            "负载已饱和",
        ]),
    rate("one of a gateway's limits", Scope::Unknown)
        .status(SLOWED)
        .text(&["crossed tpm / rpm"])
        .unsure(),
    rate("requests, whatever the code", Scope::Unknown)
        .status(SLOWED)
        .code(&["credit_limit"])
        .text(&["rate limit"])
        .unsure(),
];

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
    exhausted("a key's quota", Scope::Key).code(&["*key_quota*"]),
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
            "insufficient_scope",
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
            "*AccessDenied*",
            "*access_denied",
            "unsupported_country*",
            "SERVICE_DISABLED",
            "*_deactivated",
            "*_disabled",
            "*_suspended",
            "*_revoked",
            "*_banned",
            "*_not_authorized",
            "*_not_allowed",
            "*_not_entitled",
            "*_unauthorized",
            "*NoPermission",
            "*no_permission",
        ]),
    exhausted("terminal quota", Scope::Account)
        .code(&["insufficient_quota"])
        .text(&["platform.openai.com/docs/guides/error-codes"]),
    exhausted("money code", Scope::Account).code(&[
        "exceeded_current_quota*",
        "usage_not_included",
        "CreditsError",
        "credit_balance_*",
        "*_NOT_ENOUGH_BALANCE",
        "NOT_ENOUGH_BALANCE",
        "*_REQUEST_COUNT",
        "UsageCapExceeded",
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
        "*quota_exhausted",
        "*QuotaExhausted",
        "*balance_exhausted",
        "*balance_insufficient",
        "*spending_cap*",
        "*allowance_exhausted",
        "*allowance_exceeded",
        "*trial_expired",
        "*trial_ended",
        "*no_credits",
        "pre_consume_token_quota_failed",
        "Arrears",
    ]),
    // Under a 429 it may be any quota.
    exhausted("quota code", Scope::Account)
        .status(&[400, 401, 402, 403])
        .code(&[
            "*quota_exceeded",
            "insufficient_quota",
            "quotaExceeded",
            "dailyLimitExceeded*",
        ]),
    exhausted("free usage code", Scope::Account)
        .code(&["free_usage_*", "EXCEED_TOKEN_QUOTA_LIMIT"]),
    exhausted("a long window's code", Scope::Account)
        .status(SLOWED)
        .code(&[
            "*daily_limit*",
            "*daily_quota*",
            "*weekly_limit*",
            "*weekly_quota*",
            "*monthly_limit*",
            "*monthly_quota*",
            "*dailylimit*",
            "*dailyquota*",
            "*weeklylimit*",
            "*weeklyquota*",
            "*monthlylimit*",
            "*monthlyquota*",
            "*budget*",
        ]),
    // Codes that no two providers use for two things.
    exhausted("a day's quota id", Scope::Model)
        .status(SLOWED)
        .code(&["*PerDayPer*"]),
    tokens("token quota id", Scope::Model)
        .status(SLOWED)
        .code(&["*TokensPerM*", "*TPMExceeded", "*TpmRateLimit*", "tpm_*"]),
    rate("request quota id", Scope::Model)
        .status(SLOWED)
        .code(&["*RequestsPerM*", "*RPMExceeded", "*RpmRateLimit*", "rpm_*"]),
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
    overloaded("overload code", Scope::Server)
        .status(BUSY)
        .code(&[
            "overloaded_error",
            "*overloaded*",
            "server_busy",
            "*_is_busy",
            "*_busy",
            "es_rejected_execution_exception",
            "circuit_breaking_exception",
            "*_capacity*",
            "capacity_*",
            "*queue_full",
            "*queue_exceeded",
            "*queue_timeout",
            "*no_workers*",
            "*backpressure*",
            "service_unavailable",
            "service_unavailable_error",
            "ServiceUnavailable*",
            "ModelNotReadyException",
        ]),
    concurrency("concurrency code", Scope::Unknown)
        .status(SLOWED)
        .code(&["*concurren*", "lock_timeout"]),
];

/// Codes that say no more than a 429 does, so that words are heard first. Some come with a 400.
const VAGUE: &[Rule] = &[
    // Nothing was named, and no limit by the minute or hour makes wait so long.
    exhausted("back in hours", Scope::Unknown)
        .status(&[429])
        .wait_from(SOON),
    tokens("token code", Scope::Unknown).status(SLOWED).code(&[
        "tokens",
        "input_tokens",
        "output_tokens",
        "too_many_tokens*",
    ]),
    rate("rate code", Scope::Unknown)
        .code(&[
            "RATE_LIMIT",
            "RATE_LIMITED",
            "rate_limit_error",
            "rate_limit_exceeded",
            "RateLimitExceeded",
            "RateLimitReached",
            "THROTTLED",
            "Throttling",
            "ThrottlingException",
            "ThrottledException",
            "RequestThrottled*",
            "RequestLimitExceeded",
            "TooManyRequestsException",
            "ProvisionedThroughputExceededException",
            "ratelimited",
            "rate_limited",
            "too_many_requests",
            "too_many_requests_error",
            "toomanyrequests",
        ])
        .unsure(),
];

const STATUS: &[Rule] = &[
    rate("429", Scope::Unknown).status(&[420, 429]).unsure(),
    overloaded("503", Scope::Server).status(&[498, 503, 524, 529]),
    // A server that fails does not say for how long. One that does expects to be asked again.
    overloaded("back at a time it states", Scope::Server)
        .status(&[500, 502, 504, 520, 521, 522, 523])
        .wait_under(LONGEST),
    exhausted("402", Scope::Account).status(&[402]),
    credential("401", Scope::Key).status(&[401]),
];
