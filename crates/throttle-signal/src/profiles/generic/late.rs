//! What is heard last: codes that say no more than a 429 does, words in passing, the status.

use super::super::short::{SOON, credential, exhausted, overloaded, rate, tokens};
use super::SLOWED;
use super::words::RATE;
use crate::when::LONGEST;
use crate::{Rule, Scope};

/// Codes that say no more than a 429 does, so that words are heard first. Some come with a 400.
/// Before a table's last words: what speaks of no rate.
pub(super) const PASSING: &[Rule] = &[
    tokens("insufficient_quota of a stranger", Scope::Unknown)
        .status(&[429])
        .code(&["insufficient_quota"])
        .without(RATE)
        .unsure()
        .until_it_lasts(),
    tokens("insufficient_quota of a stranger, in words", Scope::Unknown)
        .status(&[429])
        .text(&["exceeded your current quota"])
        .without(RATE)
        .unsure()
        .until_it_lasts(),
    // A quota of no window that is named, where nothing speaks of a rate.
    rate("a quota, soon over", Scope::Unknown)
        .status(SLOWED)
        .text(QUOTA)
        .without(RATE)
        .wait_under(SOON)
        .unsure(),
    exhausted("a quota", Scope::Unknown)
        .status(SLOWED)
        .text(QUOTA)
        .without(RATE),
    exhausted("a quota's code", Scope::Unknown)
        .status(&[429])
        .code(&["quota_exceeded", "QuotaExceeded", "*_quota_violation"])
        .without(RATE),
    // What is to be paid, renewed or upgraded is no matter of waiting.
    exhausted("money, in passing", Scope::Account)
        .status(&[402, 412, 429, 432])
        .text(MONEY)
        .without(RATE),
];

pub(super) const VAGUE: &[Rule] = &[
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
            "*rate_exceeded*",
            "*rate_limit_exceeded*",
            "*rate_limit_reached*",
            "*rate_limited*",
            "*too_many_requests*",
            "*throttled*",
        ])
        .unsure(),
    // Said by who wants to be asked again later, under whatever status.
    rate("to be asked again later", Scope::Unknown)
        .status(&[400, 403])
        .header("retry-after", "")
        .unsure(),
];

/// What is to be paid for, or how.
const MONEY: &[&str] = &[
    "credit",
    "balance",
    "billing",
    "payment",
    "subscription",
    "purchase",
    "spend",
    "budget",
    "invoice",
    "allowance",
    "trial",
    "free tier",
    "upgrade",
    "your plan",
    "included usage",
    "$",
];

/// Quotas, by how they are said to be over.
const QUOTA: &[&str] = &[
    "quota exceed",
    "quota has been exceeded",
    "quota is exceeded",
    "quota reached",
    "quota has been reached",
    "quota limit",
    "exceeded quota",
    "exceeded the quota",
    "exceeded your quota",
    "exceeds your quota",
    "exceeded its quota",
    "exceeded their quota",
    "out of quota",
    "over quota",
    "over your quota",
    "resource quota",
    "no quota",
    "no more quota",
    "insufficient quota",
];

pub(super) const STATUS: &[Rule] = &[
    rate("429", Scope::Unknown)
        .status(&[420, 429, 509])
        .unsure(),
    overloaded("503", Scope::Server).status(&[498, 503, 522, 524, 529]),
    // A server that fails does not say for how long. One that does expects to be asked again.
    overloaded("back at a time it states", Scope::Server)
        .status(&[500, 502, 504, 520, 521, 523])
        .wait_under(LONGEST),
    exhausted("402", Scope::Account).status(&[402]),
    credential("401", Scope::Key).status(&[401]),
    exhausted("money, in passing", Scope::Account)
        .status(&[403])
        .text(MONEY)
        .without(RATE),
    // Something was not allowed; whom it concerns is not said, so no key is to blame for it. By its
    // status alone it may be anything.
    credential("not allowed", Scope::Server)
        .status(&[403])
        .spoken()
        .without(&[
            "<html",
            "<!doctype",
            "error code: ",
            "content",
            "policy",
            "safety",
            "violat",
            "harmful",
            "sensitive",
            "length",
            "max_tokens",
            "too long",
            "too large",
        ]),
];
