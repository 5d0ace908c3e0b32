//! Codes that mean the same nearly everywhere.

use super::super::short::{
    burst, concurrency, credential, exhausted, harmless, overloaded, rate, tokens,
};
use super::{BUSY, SLOWED};
use crate::{Rule, Scope};

pub(super) const CODES: &[Rule] = &[
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
            "insufficient_scope",
            "*invalid_token*",
            "*invalid_auth",
            "*invalid_key*",
            "*invalid_credential*",
            "*token_expired*",
            "*expired_token*",
            "*key_expired*",
            "*token_revoked*",
            "*key_revoked*",
            "*key_disabled",
            "*_auth_failed",
            "not_authed",
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
            "*RequestDenied",
            "*insufficient_permission*",
            "*insufficientPermission*",
            "*insufficient_privilege*",
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
    exhausted("free usage code", Scope::Account).code(&[
        "free_usage_*",
        "FreeUsageLimit*",
        "EXCEED_TOKEN_QUOTA_LIMIT",
    ]),
    exhausted("a day's, for a client's error", Scope::Account)
        .status(&[400])
        .code(&["*limit_exceeded*", "*limit_reached*"])
        .text(&["daily", "per day", "monthly", "per month"]),
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
    // API Gateway: a usage plan's quota; its rate is TooManyRequestsException.
    exhausted("a usage plan", Scope::Key)
        .status(&[429])
        .code(&["LimitExceededException"]),
    rate("rate code, for a client's error", Scope::Unknown)
        .status(&[400])
        .code(&[
            "*RateLimitExceeded*",
            "*RateLimitsExceeded*",
            "*rate_limit_exceeded*",
        ]),
    // Codes that no two providers use for two things.
    exhausted("a day's quota id", Scope::Model)
        .status(SLOWED)
        .code(&["*PerDayPer*", "tpd_*", "rpd_*", "*_tpd*", "*_rpd*"]),
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
            "*resource_unavailable*",
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
        .code(&[
            "*concurren*",
            "*inflight*",
            "*in_flight*",
            "*session_limit*",
            "*connection_limit*",
            "lock_timeout",
        ]),
];
