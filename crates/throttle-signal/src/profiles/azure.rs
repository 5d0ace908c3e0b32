//! Azure OpenAI and what runs behind Azure API Management. Sources: Azure OpenAI docs "Quotas and
//! limits" and "Provisioned throughput"; API Management policies `rate-limit`, `quota`, `azure-openai-token-limit`.

use super::short::{concurrency, exhausted, overloaded, rate, tokens};
use crate::profile::Table;
use crate::{Rule, Scope};

pub(crate) const TABLE: Table = Table {
    name: "azure-openai",
    hosts: &[
        "openai.azure.com",
        "cognitiveservices.azure.com",
        "services.ai.azure.com",
        "azure-api.net",
        "ml.azure.com",
    ],
    rules: &[RULES],
    in_success: false,
};

const RULES: &[Rule] = &[
    exhausted("call volume", Scope::Account).text(&[
        "call volume quota",
        "quota will be replenished",
        "bandwidth quota",
    ]),
    exhausted("out of quota", Scope::Account).code(&["insufficient_quota", "InsufficientQuota"]),
    overloaded("high demand", Scope::Server)
        .status(SLOWED)
        .text(&["high demand", "peak load"]),
    // A full deployment is the customer's own, but says nothing about his rate.
    overloaded("provisioned deployment is full", Scope::Model)
        .status(SLOWED)
        .text(&["provisioned"]),
    tokens("tokens", Scope::Model)
        .status(SLOWED)
        .text(&["token rate limit", "tokens per"]),
    tokens("token policy", Scope::Key)
        .status(SLOWED)
        .text(&["token limit is exceeded", "token limit"]),
    rate("calls", Scope::Model)
        .status(SLOWED)
        .text(&["call rate limit", "requests per"]),
    rate("rate policy", Scope::Key)
        .status(SLOWED)
        .text(&["rate limit is exceeded"]),
    concurrency("in flight", Scope::Model)
        .status(SLOWED)
        .text(&["concurren"]),
    overloaded("capacity", Scope::Server)
        .status(SLOWED)
        .text(&["overloaded", "capacity"]),
    // As GitHub Models puts it, which runs there.
    exhausted("a day's", Scope::Model).text(&["byday"]),
    rate("requests a minute", Scope::Model)
        .status(SLOWED)
        .text(&["byminute"]),
    tokens("unsaid", Scope::Model)
        .status(SLOWED)
        .text(&["exceeded rate limit", "exceeded the rate limit"])
        .unsure(),
    tokens("unsaid", Scope::Model)
        .status(SLOWED)
        .code(&["rate_limit_exceeded", "RateLimitReached"])
        .unsure(),
];

const SLOWED: &[u16] = &[429, 503];
