//! Words about rates, room and keys that mean the same nearly everywhere.

use super::super::short::{burst, concurrency, credential, exhausted, overloaded, rate, tokens};
use super::{BUSY, SLOWED};
use crate::{Rule, Scope};

/// Statuses under which words about keys are believed.
const DENIED: &[u16] = &[400, 401, 403];

/// Before words about money: these are said of a rate as well.
pub(super) const FIRST: &[Rule] = &[
    tokens("larger than the limit", Scope::Unknown)
        .status(&[413, 429])
        .text(&["request too large", "prompt is too large"])
        .and(&["tokens per", "tpm", "token limit"])
        .retry(false),
    concurrency("in flight", Scope::Unknown)
        .status(SLOWED)
        .text(&[
            "concurren",
            "simultaneous",
            "parallel request",
            "in flight",
            "in-flight",
            "too many connections",
            "too many open",
            "并发",
        ]),
];

pub(super) const WORDS: &[Rule] = &[
    burst("growth", Scope::Unknown).status(SLOWED).text(&[
        "increased too quickly",
        "increase too quickly",
        "traffic growth",
        "request burst",
        "acceleration limit",
        "increase your usage gradually",
        "usage increase rate",
        "more gradually",
        "secondary rate limit",
        "slow down your rate of growth",
    ]),
    overloaded("shared pool", Scope::Server)
        .status(&[429])
        .text(&[
            "generative-ai/docs/error-code-429",
            "resource exhausted. please try again later",
            "resource exhausted, please try again later",
        ]),
    overloaded("busy", Scope::Server).status(BUSY).text(&[
        "overload",
        "at capacity",
        "maximum capacity",
        "full capacity",
        "capacity limit",
        "capacity exceeded",
        "no capacity",
        "insufficient capacity",
        "out of capacity",
        "too busy",
        "is busy",
        "busy now",
        "busy, ",
        "high demand",
        "peak load",
        "before the given deadline",
        "unusually high",
        "high load",
        "heavy load",
        "high traffic",
        "heavy traffic",
        "receiving too many requests",
        "temporarily unavailable",
        "not ready yet",
        "繁忙",
        "负载",
        "访问量过大",
        "过载",
    ]),
    // Some answer so with a 400, where vaguer words are about something else.
    overloaded("busy, for a client's error", Scope::Server)
        .status(&[400])
        .text(&["overloaded", "at capacity", "capacity exceeded", "is busy"]),
    tokens("a model's tokens", Scope::Model)
        .status(SLOWED)
        .text(&["token rate", "tokens per", "tpm"])
        .and(&["model group", "deployment", "for model"]),
    tokens("tokens", Scope::Unknown).status(SLOWED).text(&[
        "tokens per",
        "token per",
        "tokens/min",
        "tokens / min",
        "token rate",
        "tokens rate",
        "token limit",
        "tokens limit",
        "token quota",
        "token usage",
        "token_count",
        "tokens_per",
        "minutetokens",
        "number of tokens",
        "limit reached for tokens",
        "allocated quota exceeded",
        "the provisioned throughput",
        "too many tokens",
        "input tokens",
        "output tokens",
        "tpm",
    ]),
    rate("requests", Scope::Account)
        .status(SLOWED)
        .text(&["logged in user", "your account's rate limit", "for user id"])
        .unsure(),
    rate("requests", Scope::Unknown)
        .status(SLOWED)
        .text(&[
            "requests per",
            "requests_per",
            "request per",
            "requests/min",
            "calls per",
            "queries per",
            "too many request",
            "request rate",
            "requests rate",
            "call rate",
            "rate limit",
            "rate-limit",
            "ratelimit",
            "rate exceeded",
            "rate_limit",
            "too fast",
            "too frequent",
            "throttl",
            "请求数",
            "次数",
            "rpm",
            "rps",
            "qps",
            "频率",
            "频繁",
            "限流",
            "限频",
            "请求过多",
        ])
        .unsure(),
    exhausted("a quota, by a 403", Scope::Unknown)
        .status(&[403])
        .text(&["quota exceeded", "limit exceeded", "exceeded your"]),
    credential("a model", Scope::Model)
        .status(&[403])
        .text(&[
            "access to model",
            "access to the model",
            "access to this model",
            "allowed to use",
            "allowed to access",
            "authorized to access",
            "eligible for using",
        ])
        .and(&["model"]),
    rate("edge", Scope::Unknown).code(&["error code: 1015"]),
    exhausted("edge, a day's", Scope::Account).code(&["error code: 1027"]),
    tokens("insufficient_quota of a stranger", Scope::Unknown)
        .status(&[429])
        .code(&["insufficient_quota"])
        .unsure()
        .until_it_lasts(),
    credential("key", Scope::Key).status(DENIED).text(&[
        "api key not valid",
        "invalid api key",
        "invalid api-key",
        "incorrect api key",
        "invalid x-api-key",
        "invalid token",
        "invalid authentication",
        "authentication failed",
        "unauthorized",
        "api key expired",
        "api key has expired",
        "api key is missing",
        "no api key",
        "required scope",
        "insufficient scope",
        "无效的令牌",
    ]),
];
