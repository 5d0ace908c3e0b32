//! Anthropic. Sources: API docs "Errors" and "Rate limits"; subscriptions' headers as seen.
//!
//! One code, `rate_limit_error`, for requests, input and output tokens, concurrency, growth and the
//! server's own limit: the message decides, then the headers.

use super::short::{SOON, burst, concurrency, credential, exhausted, overloaded, rate, tokens};
use crate::profile::Table;
use crate::{Rule, Scope};

pub(crate) const TABLE: Table = Table {
    name: "anthropic",
    hosts: &["anthropic.com", "claude.ai", "claude.com"],
    rules: &[RULES],
    in_success: false,
};

const RULES: &[Rule] = &[
    overloaded("overloaded", Scope::Server).code(&["overloaded_error"]),
    exhausted("subscription window", Scope::Account)
        .header("anthropic-ratelimit-unified-status", "rejected"),
    exhausted("money", Scope::Account).text(&[
        "credit balance",
        "plans & billing",
        "usage limits",
        "extra usage",
        "usage credits",
        "spend limit",
        "monthly spend",
    ]),
    exhausted("subscription window", Scope::Account)
        .status(SLOWED)
        .text(&[
            "5-hour",
            "7-day",
            "weekly limit",
            "session limit",
            "usage limit",
            "opus limit",
        ]),
    // Without more words it is the server's own limit, as the provider's client says.
    overloaded("the server's limit", Scope::Server).code(&["rate limited", "rate limited."]),
    burst("growth", Scope::Model).status(SLOWED).text(&[
        "usage increase rate",
        "more gradually",
        "acceleration limit",
    ]),
    concurrency("in flight", Scope::Account)
        .status(SLOWED)
        .text(&["concurrent"]),
    tokens("tokens a day, refilling", Scope::Model)
        .status(SLOWED)
        .text(&["daily", "per day", "per-day"])
        .wait_under(SOON),
    exhausted("a day's", Scope::Model).status(SLOWED).text(&[
        "daily rate limit",
        "per-day",
        "per day",
    ]),
    tokens("tokens", Scope::Model)
        .status(SLOWED)
        .text(&["token"])
        .without(&["number of requests has exceeded"]),
    rate("account", Scope::Account)
        .status(SLOWED)
        .text(&["your account's rate limit"])
        .unsure(),
    rate("requests", Scope::Model)
        .status(SLOWED)
        .text(&["number of requests", "requests per minute", "per-minute"])
        .unsure(),
    rate("unsaid, for an organization", Scope::Model)
        .status(SLOWED)
        .text(&[
            "rate limit for your organization",
            "organization's rate limit",
        ])
        .unsure(),
    credential("organization", Scope::Account)
        .status(&[400, 403])
        .text(&[
            "organization has been disabled",
            "account has been disabled",
        ]),
];

const SLOWED: &[u16] = &[429];
