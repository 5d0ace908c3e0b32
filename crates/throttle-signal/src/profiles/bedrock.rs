//! Amazon Bedrock. Source: "Troubleshooting Amazon Bedrock API error codes". The code comes in the
//! header `x-amzn-errortype`; no wait is ever stated.

use super::short::{concurrency, credential, exhausted, overloaded, rate, tokens};
use crate::profile::Table;
use crate::{Rule, Scope};

pub(crate) const TABLE: Table = Table {
    name: "bedrock",
    hosts: &["amazonaws.com", "amazonaws.com.cn", "api.aws"],
    rules: &[RULES],
    in_success: false,
};

const RULES: &[Rule] = &[
    // API Gateway: the quota of a usage plan.
    exhausted("usage plan", Scope::Key).code(&["LimitExceededException", "Limit Exceeded"]),
    exhausted("service quota", Scope::Account).code(&["ServiceQuotaExceeded*"]),
    credential("key", Scope::Key).code(&[
        "UnrecognizedClient*",
        "ExpiredToken*",
        "InvalidSignature*",
        "InvalidClientTokenId",
        "MissingAuthenticationToken*",
        "IncompleteSignature*",
    ]),
    credential("model access", Scope::Model)
        .code(&["AccessDenied*"])
        .text(&["model"]),
    credential("access", Scope::Account).code(&["AccessDenied*"]),
    overloaded("model not ready", Scope::Model).code(&["ModelNotReady*"]),
    // A 503 is about capacity and "not related to account-level quotas", whatever its words are; one of
    // them is "too many connections".
    overloaded("unavailable", Scope::Server).code(&["ServiceUnavailable*"]),
    // The codes of other services of the same hosts.
    rate("requests", Scope::Account).status(&[503]).code(&[
        "SlowDown",
        "RequestLimitExceeded",
        "Throttling",
    ]),
    overloaded("503", Scope::Server).status(&[503]),
    // Of a plan's credit by the hour or month.
    exhausted("credit", Scope::Account).text(&["credit limit"]),
    exhausted("tokens a day", Scope::Model).text(&["tokens per day", "per day"]),
    concurrency("connections", Scope::Account).text(&["too many connections", "concurrent"]),
    concurrency("invocations", Scope::Account).code(&["*Concurrent*"]),
    overloaded("capacity", Scope::Model)
        .code(&["Throttling*", "TooManyRequests*"])
        .text(&["capacity", "high demand"]),
    // A frame in the middle of a stream, which does not say; tokens are what runs out there.
    tokens("throttled stream", Scope::Model)
        .code(&["throttlingException"])
        .text(&["throttling error"]),
    tokens("tokens", Scope::Model)
        .status(&[429])
        .text(&["token"]),
    rate("requests", Scope::Model)
        .status(&[429])
        .text(&["too many requests", "rate exceeded"]),
    rate("requests", Scope::Model).code(&["Throttling*", "TooManyRequests*"]),
];
