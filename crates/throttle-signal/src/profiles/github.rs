//! GitHub: REST and GraphQL, Copilot, Models. Sources: "Rate limits for the REST API", "…for the GraphQL
//! API", "Prototyping with AI models".

use std::time::Duration;

use super::short::{SOON, burst, concurrency, exhausted, harmless, rate, tokens};
use crate::profile::Table;
use crate::{Rule, Scope};

pub(crate) const MODELS: Table = Table {
    name: "github-models",
    hosts: &["models.github.ai", "models.inference.ai.azure.com"],
    rules: &[MODEL_RULES],
    in_success: false,
};

pub(crate) const GITHUB: Table = Table {
    name: "github",
    hosts: &["github.com", "githubcopilot.com", "ghe.com"],
    rules: &[RULES],
    in_success: true,
};

const MODEL_RULES: &[Rule] = &[
    harmless("size").code(&["tokens_limit_reached"]),
    exhausted("a day's", Scope::Model).text(&["per 86400s", "byday"]),
    concurrency("in flight", Scope::Model).text(&["concurrent"]),
    tokens("tokens", Scope::Model)
        .status(&[429])
        .text(&["tokens"]),
    rate("requests", Scope::Model)
        .status(&[429])
        .code(&["RateLimitReached"]),
    rate("requests", Scope::Model)
        .status(&[429])
        .text(&["byminute", "per 60s"]),
];

const RULES: &[Rule] = &[
    burst("secondary", Scope::Account)
        .text(&["secondary rate limit", "abuse detection"])
        .typical(Duration::from_secs(60)), // "wait at least a minute", for want of a header
    rate("model", Scope::Model)
        .code(&["user_model_rate_limited*"])
        .wait_under(SOON),
    rate("plan, soon over", Scope::Account)
        .code(&["user_global_rate_limited*"])
        .wait_under(SOON),
    rate("plan, soon over", Scope::Account)
        .code(&["rate_limited"])
        .text(&["copilot", "your request was rate"])
        .wait_under(SOON),
    exhausted("plan window", Scope::Account)
        .code(&["rate_limited"])
        .text(&["copilot"]),
    // Of a token that is good for other things, whatever its rate limit headers say.
    harmless("permission").status(&[403]).text(&[
        "not accessible by",
        "must have admin",
        "admin rights",
    ]),
    rate("address", Scope::Unknown).text(&["authenticated requests get a higher rate limit"]),
    rate("primary", Scope::Account).code(&["RATE_LIMITED", "RATE_LIMIT"]),
    rate("primary", Scope::Account)
        .text(&["api rate limit exceeded", "api rate limit already exceeded"]),
    exhausted("plan window", Scope::Account).code(&[
        "user_*",
        "quota_exceeded",
        "agent_usage_limit_exceeded",
    ]),
];
