//! Google: Gemini API and Vertex AI. Sources: "Rate limits", "Troubleshooting", Vertex AI "Error code
//! 429", google.rpc error details (AIP-193).
//!
//! Every refusal of the Gemini API begins with the sentence that is OpenAI's end of the money; the quota id
//! decides. A quota by day comes with a delay of seconds that is not honoured.

use std::time::Duration;

use super::short::{concurrency, credential, exhausted, overloaded, rate, tokens};
use crate::profile::Table;
use crate::{Rule, Scope};

pub(crate) const VERTEX: Table = Table {
    name: "vertex",
    hosts: &["aiplatform.googleapis.com"],
    rules: &[SHARED_POOL, RULES],
    in_success: false,
};

pub(crate) const GEMINI: Table = Table {
    name: "gemini",
    hosts: &["googleapis.com"],
    rules: &[RULES],
    in_success: false,
};

/// Without a quota of one's own the pool is what was exhausted.
const SHARED_POOL: &[Rule] = &[
    tokens("provisioned throughput", Scope::Model).text(&["provisioned throughput"]),
    overloaded("shared pool", Scope::Server).text(&[
        "resource exhausted. please try again later",
        "resource exhausted, please try again later",
        "resource has been exhausted (e.g. check quota)",
    ]),
    overloaded("capacity", Scope::Server)
        .status(&[429, 503])
        .text(&["out of capacity", "no capacity"]),
    overloaded("unavailable", Scope::Server).status(&[503]),
];

const RULES: &[Rule] = &[
    overloaded("shared pool", Scope::Server)
        .status(&[429])
        .text(&["generative-ai/docs/error-code-429"]),
    // Before the codes: a server without room calls it a rate.
    overloaded("no capacity", Scope::Model)
        .status(&[429, 503])
        .text(&["no capacity available"]),
    exhausted("credits", Scope::Account).code(&["INSUFFICIENT_G1_CREDITS*", "*CREDITS_BALANCE"]),
    exhausted("prepaid", Scope::Account).status(SLOWED).text(&[
        "prepayment credits",
        "credits are depleted",
        "spending cap",
        "monthly spend",
    ]),
    exhausted("quota", Scope::Model).code(&["QUOTA_EXHAUSTED"]),
    // A plan's window of hours, in the words, and under the codes, of a rate. Limits by the minute are
    // the longest rates there are here.
    exhausted("plan window", Scope::Model)
        .status(SLOWED)
        .text(&["quota will reset", "quota reached"])
        .wait_from(LONG),
    // The older form of Google's other APIs, with a 403.
    exhausted("a day's", Scope::Account).code(&["quotaExceeded", "dailyLimitExceeded*"]),
    concurrency("in flight", Scope::Account)
        .status(SLOWED)
        .text(&["concurren"]),
    // Before the codes of a rate, which name a quota by day as well.
    exhausted("a day's", Scope::Model)
        .status(SLOWED)
        .code(&["*PerDay*"]),
    exhausted("a day's", Scope::Model)
        .status(SLOWED)
        .text(&["per day", "per_day", "daily"]),
    rate("rate", Scope::Account).code(&["rateLimitExceeded", "userRateLimitExceeded"]),
    overloaded("no capacity", Scope::Model).code(&["MODEL_CAPACITY_EXHAUSTED"]),
    credential("project", Scope::Account).code(&[
        "SERVICE_DISABLED",
        "CONSUMER_*",
        "BILLING_DISABLED",
        "ACCOUNT_STATE_INVALID",
    ]),
    credential("key", Scope::Key).code(&[
        "API_KEY_*",
        "ACCESS_TOKEN_*",
        "UNAUTHENTICATED",
        "CREDENTIALS_MISSING",
    ]),
    credential("leaked key", Scope::Key)
        .status(&[400, 403])
        .text(&["api key", "reported as leaked"])
        .without(&["resource"]),
    tokens("tokens", Scope::Model).status(SLOWED).code(&[
        "*TokensPer*",
        "*TokenCount*",
        "*Tokens*PerMinute*",
    ]),
    rate("requests", Scope::Model)
        .status(SLOWED)
        .code(&["*RequestsPer*", "*PerMinute*"]),
    tokens("tokens", Scope::Model).status(SLOWED).text(&[
        "token_count",
        "tokens_per_minute",
        "input_tokens",
        "output_tokens",
        "tokens per",
    ]),
    rate("requests", Scope::Model).status(SLOWED).text(&[
        "_requests",
        "requests_per_minute",
        "requests per",
        "per minute",
        "queries per",
    ]),
    rate("rate", Scope::Model)
        .status(SLOWED)
        .code(&["RATE_LIMIT_EXCEEDED"]),
    overloaded("overloaded", Scope::Model)
        .status(&[500, 503])
        .text(&["overloaded", "no capacity", "high demand", "unavailable"]),
    rate("unsaid", Scope::Unknown)
        .status(&[429])
        .unsure()
        .last(),
];

const SLOWED: &[u16] = &[429, 403];

/// A limit by the minute is never over so late.
const LONG: Duration = Duration::from_secs(10 * 60);
