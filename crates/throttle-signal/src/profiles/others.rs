//! Providers whose tables are short. Sources: each provider's "Errors" and "Rate limits" pages.

use super::short::{concurrency, credential, exhausted, harmless, overloaded, rate, tokens};
use super::{china, openai};
use crate::profile::Table;
use crate::{Rule, Scope};

const SLOWED: &[u16] = &[429, 503];

pub(crate) const TABLES: &[Table] = &[
    table("groq", &["groq.com"], &[GROQ, openai::RULES]),
    table("cerebras", &["cerebras.ai"], &[CEREBRAS]),
    table("cohere", &["cohere.com", "cohere.ai"], &[COHERE]),
    table("deepseek", &["deepseek.com"], &[china::DEEPSEEK]),
    table("mistral", &["mistral.ai"], &[MISTRAL]),
    table("together", &["together.xyz", "together.ai"], &[TOGETHER]),
    table("xai", &["x.ai"], &[XAI]),
    table(
        "siliconflow",
        &["siliconflow.cn", "siliconflow.com"],
        &[china::SILICONFLOW],
    ),
    table("baichuan", &["baichuan-ai.com"], &[china::SPENT]),
    table("stepfun", &["stepfun.com", "stepfun.ai"], &[china::SPENT]),
    table("yi", &["lingyiwanwu.com", "01.ai"], &[china::SPENT]),
    table("sensenova", &["sensenova.cn"], &[china::SENSENOVA]),
    table("perplexity", &["perplexity.ai"], &[PERPLEXITY]),
    table(
        "huggingface",
        &["huggingface.co", "hf.co", "hf.space"],
        &[HUGGINGFACE],
    ),
    Table {
        in_success: true,
        ..table("cloudflare", &["cloudflare.com"], &[CLOUDFLARE])
    },
    table("fireworks", &["fireworks.ai"], &[FIREWORKS]),
    Table {
        in_success: true,
        ..table("spark", &["xf-yun.com"], &[china::SPARK])
    },
    table("elevenlabs", &["elevenlabs.io"], &[ELEVENLABS]),
    table("nvidia", &["nvidia.com"], &[NVIDIA]),
    table("salesforce", &["salesforce.com"], &[SALESFORCE]),
];

const fn table(
    name: &'static str,
    hosts: &'static [&'static str],
    rules: &'static [&'static [Rule]],
) -> Table {
    Table {
        name,
        hosts,
        rules,
        in_success: false,
    }
}

/// As `OpenAI` puts it, with sizes under 413 and limits of a day that refill.
const GROQ: &[Rule] = &[
    overloaded("flex capacity", Scope::Server).status(&[498]),
    overloaded("capacity", Scope::Server).code(&["capacity_exceeded", "over_capacity"]),
    tokens("larger than the limit", Scope::Model)
        .status(&[413])
        .code(&["rate_limit_exceeded", "tokens"])
        .retry(false),
    exhausted("spend limit", Scope::Account).text(&[
        "spend limit",
        "spend alert",
        "blocked_api_access",
    ]),
    rate("audio seconds", Scope::Model)
        .status(SLOWED)
        .text(&["seconds of audio"]),
    credential("restricted", Scope::Account)
        .code(&["organization_restricted", "model_permission_blocked*"]),
];

/// One code for the minute, the hour and the day.
const CEREBRAS: &[Rule] = &[
    overloaded("queue", Scope::Model).code(&["queue_exceeded", "*high traffic*"]),
    exhausted("a day's", Scope::Model)
        .code(&["token_quota_exceeded", "request_quota_exceeded"])
        .text(&["per day", "daily"]),
    tokens("tokens", Scope::Model).code(&["token_quota_exceeded"]),
    rate("requests", Scope::Model).code(&["request_quota_exceeded"]),
    tokens("tokens", Scope::Model)
        .status(SLOWED)
        .text(&["tokens per"]),
    credential("key", Scope::Key).code(&["wrong_api_key"]),
];

const COHERE: &[Rule] = &[
    harmless("blocked").status(&[498]),
    exhausted("a month's calls", Scope::Key)
        .status(SLOWED)
        .text(&["/ month", "per month", "/month"]),
    tokens("trial tokens", Scope::Key)
        .status(SLOWED)
        .text(&["tokens per"]),
    rate("trial key", Scope::Key).status(SLOWED).text(&[
        "trial key",
        "api calls / minute",
        "trial token",
    ]),
    tokens("tokens", Scope::Key).status(SLOWED).text(&["token"]),
    rate("requests", Scope::Key).status(&[429]).last(),
];

const MISTRAL: &[Rule] = &[
    overloaded("capacity", Scope::Model).code(&[
        "3505",
        "service_tier_capacity_exceeded",
        "*capacity_exceeded",
    ]),
    overloaded("capacity", Scope::Model).text(&["capacity exceeded"]),
    exhausted("a month's tokens", Scope::Account)
        .status(SLOWED)
        .text(&["month"]),
    tokens("tokens", Scope::Account)
        .status(SLOWED)
        .text(&["tokens"]),
    rate("requests", Scope::Account)
        .code(&["1300", "rate_limited"])
        .unsure(),
    rate("requests", Scope::Account)
        .status(&[429])
        .unsure()
        .last(),
];

/// 403 is a context that is too long.
const TOGETHER: &[Rule] = &[
    harmless("size")
        .status(&[403])
        .text(&["context length", "max_tokens"]),
    tokens("tokens", Scope::Model).code(&["dynamic_token_limited", "token_rate_limit"]),
    // Both are named where it is not said which was hit.
    tokens("tokens", Scope::Model)
        .code(&["model_rate_limit"])
        .text(&["tokens per"])
        .without(&["queries", "requests"]),
    rate("requests", Scope::Model).code(&[
        "model_rate_limit",
        "dynamic_request_limited",
        "request_rate_limit",
    ]),
    // Also the type of what is none.
    tokens("tokens", Scope::Model)
        .status(SLOWED)
        .text(&["token rate limiting"]),
    rate("requests", Scope::Account)
        .status(SLOWED)
        .text(&["request rate limiting"]),
    // Without credit the rate is lower, and a request over it has this type too.
    rate("requests", Scope::Account)
        .code(&["credit_limit"])
        .text(&["per minute", "per second", "qps", "rate limiting"]),
    exhausted("credit", Scope::Account).code(&["credit_limit"]),
    overloaded("overloaded", Scope::Server)
        .status(SLOWED)
        .text(&["overloaded", "not ready"]),
    rate("requests", Scope::Account)
        .status(&[429])
        .code(&["rate_limit"]),
];

/// The text lists every dimension; the one whose actual value is above its limit counts.
const XAI: &[Rule] = &[
    exhausted("credits", Scope::Account).text(&[
        "available credits",
        "spending limit",
        "out of credits",
        "more credits",
        "add credits",
        "grok subscription",
        "doesn't have any credits",
        "does not have any credits",
    ]),
    rate("rate", Scope::Model)
        .status(SLOWED)
        .text(&["too many requests for team", "actual/limit", "rate limit"])
        .unsure(),
    overloaded("capacity", Scope::Server).status(SLOWED).text(&[
        "capacity",
        "high demand",
        "overload",
    ]),
    rate("exhausted resource", Scope::Model)
        .status(&[429])
        .unsure()
        .last(),
];

const PERPLEXITY: &[Rule] = &[
    exhausted("credit", Scope::Account).code(&["insufficient_quota"]),
    exhausted("credit", Scope::Account)
        .status(&[401, 402, 403])
        .text(&["exceeded your current quota", "out of credits"]),
];

const HUGGINGFACE: &[Rule] = &[
    exhausted("credits", Scope::Account).text(&["included credits", "exceeded your monthly"]),
    exhausted("graphics quota", Scope::Account).text(&["gpu quota", "zerogpu"]),
    overloaded("loading", Scope::Model)
        .status(&[503])
        .text(&["loading", "too busy", "overloaded"]),
    rate("address", Scope::Unknown)
        .status(&[429])
        .text(&["rate limit your ip", "your ip"]),
    rate("an hour's", Scope::Account)
        .status(&[429])
        .text(&["reset hourly"]),
    concurrency("in flight", Scope::Unknown)
        .status(&[429])
        .text(&["concurren"]),
    rate("requests", Scope::Account)
        .status(&[429])
        .unsure()
        .last(),
];

const CLOUDFLARE: &[Rule] = &[
    exhausted("a day's allocation", Scope::Account).code(&["3036", "4006"]),
    overloaded("capacity", Scope::Model).code(&["3040"]),
    rate("requests", Scope::Account).code(&["971", "10429", "2003", "2023"]),
    credential("key", Scope::Key)
        .status(&[400, 401, 403])
        .code(&["10000", "9109", "6003"]),
];

const FIREWORKS: &[Rule] = &[
    exhausted("suspended", Scope::Account).status(&[412]),
    overloaded("no first token", Scope::Model)
        .status(SLOWED)
        .text(&["before the given deadline"]),
    // The limits of an account, not a plan's window; "dedicated capacity" is for sale.
    rate("usage limits", Scope::Account)
        .status(SLOWED)
        .text(&["exceeded your usage limits"]),
    overloaded("overloaded", Scope::Model)
        .status(SLOWED)
        .text(&["overload", "capacity"]),
    tokens("tokens", Scope::Account)
        .status(SLOWED)
        .text(&["token"]),
    rate("requests", Scope::Account)
        .status(&[429])
        .unsure()
        .last(),
];

const ELEVENLABS: &[Rule] = &[
    exhausted("quota", Scope::Account).code(&["quota_exceeded"]),
    concurrency("in flight", Scope::Account)
        .code(&["too_many_concurrent_requests", "concurrent_limit_exceeded"]),
    overloaded("busy", Scope::Server).code(&["system_busy"]),
];

const NVIDIA: &[Rule] = &[
    exhausted("credits", Scope::Account).text(&["credits expired", "cloud credits"]),
    // Of its own workers; the caller's limit has other words.
    overloaded("workers", Scope::Server)
        .status(SLOWED)
        .text(&["worker local total request limit", "resourceexhausted"]),
];

/// One code for what runs at a time and for the calls of a day.
const SALESFORCE: &[Rule] = &[
    concurrency("in flight", Scope::Account).text(&["concurren"]),
    exhausted("a day's calls", Scope::Account).text(&["totalrequests"]),
];
