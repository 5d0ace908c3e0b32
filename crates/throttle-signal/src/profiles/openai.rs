//! OpenAI. Sources: API guide, "Error codes" and "Rate limits"; four generations of its messages.
//!
//! Every limit refills continuously, also that of a day, and the message states the exact wait.
//! `insufficient_quota` is the end of the money.

use std::time::Duration;

use super::short::{burst, credential, exhausted, overloaded, rate, tokens};
use crate::profile::Table;
use crate::{Rule, Scope};

pub(crate) const TABLE: Table = Table {
    name: "openai",
    hosts: &["openai.com", "chatgpt.com"],
    rules: &[RULES],
    in_success: false,
};

pub(crate) const RULES: &[Rule] = &[
    exhausted("out of money", Scope::Account).code(&[
        "insufficient_quota",
        "billing_hard_limit_reached",
        "billing_not_active",
    ]),
    exhausted("plan window", Scope::Account).code(&["usage_limit_reached", "usage_not_included"]),
    burst("slow down", Scope::Account)
        .code(&["slow_down", "slow down"])
        .typical(Duration::from_secs(60)),
    tokens("larger than the limit", Scope::Model)
        .status(SLOWED)
        .text(&["request too large"])
        .retry(false),
    overloaded("at capacity", Scope::Model).text(&["at capacity"]),
    overloaded("overloaded", Scope::Server)
        .status(SLOWED)
        .text(&["overloaded", "the server had an error"]),
    concurrency_rule(),
    tokens("tokens", Scope::Model).status(SLOWED).code(&[
        "tokens",
        "input_tokens",
        "output_tokens",
    ]),
    rate("requests", Scope::Model)
        .status(SLOWED)
        .code(&["requests", "images", "input-images"]),
    tokens("tokens a minute", Scope::Model)
        .status(SLOWED)
        .text(&[
            "tokens per",
            "(tpm)",
            "(tpd)",
            "tokens_usage_based",
            "for tokens",
            "token limit",
        ]),
    rate("requests a minute", Scope::Model)
        .status(SLOWED)
        .text(&[
            "requests per",
            "images per",
            "(rpm)",
            "(rpd)",
            "(ipm)",
            "for requests",
        ]),
    tokens("unsaid", Scope::Unknown)
        .status(SLOWED)
        .code(&["rate_limit_exceeded"])
        .unsure(),
    credential("organization", Scope::Account).code(&[
        "access_terminated",
        "invalid_organization",
        "mismatched_organization",
    ]),
];

const SLOWED: &[u16] = &[429, 503];

const fn concurrency_rule() -> Rule {
    super::short::concurrency("in flight", Scope::Account)
        .status(SLOWED)
        .text(&["concurrent", "simultaneous"])
}
