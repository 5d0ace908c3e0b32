//! Words about rates, room and keys that mean the same nearly everywhere.

use super::super::short::{burst, concurrency, exhausted, overloaded, rate, tokens};
use super::{BUSY, SLOWED};
use crate::{Rule, Scope};

/// Before words about money: these are said of a rate as well.
pub(super) const FIRST: &[Rule] = &[
    tokens("larger than the limit", Scope::Unknown)
        .status(&[413, 429])
        .text(&["request too large", "prompt is too large"])
        .and(&["tokens per", "tpm", "token limit"])
        .retry(false),
    tokens("larger than the limit", Scope::Unknown)
        .status(&[413, 429])
        .code(&["*too_large"])
        .text(&["tokens per", "tpm", "token limit"])
        .retry(false),
    concurrency("in flight", Scope::Unknown)
        .status(SLOWED)
        .text(&[
            "concurren",
            "simultaneous",
            "parallel",
            "in flight",
            "in-flight",
            "too many connections",
            "too many open",
            "too many streams",
            "too many sessions",
            "too many active",
            "active session",
            "active requests",
            "outstanding request",
            "ongoing request",
            "unfinished request",
            "running jobs",
            "request at a time",
            "at the same time",
        ]),
    concurrency("another first", Scope::Unknown)
        .status(&[429])
        .text(&[
            "previous request",
            "to finish",
            "already processing",
            "still processing",
            " running",
            "in progress",
        ]),
];

pub(super) const WORDS: &[Rule] = &[
    burst("growth", Scope::Unknown).status(SLOWED).text(&[
        "increased too",
        "increase too",
        "increasing too",
        "grown too",
        "growing too",
        "ramp up",
        "ramping up",
        "ramp-up",
        "ramp more",
        "ramp slowly",
        "arriving too",
        "burst limit",
        "spike arrest",
        "traffic spike",
        "spike in traffic",
        "spike in request",
        "sudden",
        "traffic growth",
        "request burst",
        "acceleration limit",
        "usage increase rate",
        "gradually",
        "secondary rate limit",
        "slow down your rate of growth",
    ]),
    overloaded("shared pool", Scope::Server)
        .status(&[429])
        .text(&[
            "generative-ai/docs/error-code-429",
            "resource exhausted. please try again later",
            "resource exhausted, please try again later",
            "the server had an error",
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
        "insufficient resource",
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
        "no accounts available",
        "all accounts",
        "accounts exhausted",
        "queue",
        "no available",
        "cooldown",
        "cooling down",
        "saturated",
        "no workers available",
        "workers are busy",
        "not enough capacity",
        "lack of capacity",
        "capacity constraint",
        "reached capacity",
        "temporarily unavailable",
        "not ready yet",
        "混雑",
    ]),
    // Of what everybody sends, where no limit of the caller's is spoken of. Inside a success it is one.
    overloaded("too many requests for a server", Scope::Server)
        .status(&[503, 529])
        .and(&["too many request"])
        .without(&["limit", "rate", "your", "throttl", "slow down"]),
    // Some answer so with a 400, where vaguer words are about something else.
    overloaded("busy, for a client's error", Scope::Server)
        .status(&[400])
        .text(&[
            "is overloaded",
            "are overloaded",
            "currently overloaded",
            "at capacity",
            "capacity exceeded",
            "is busy",
        ]),
    // Both named, and not said which it was.
    rate("requests or tokens", Scope::Unknown)
        .status(SLOWED)
        .text(&["rpm and", "rpm or", "rpm,", "rpm/"])
        .and(&["tpm"])
        .unsure(),
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
        "request tokens",
        "limit reached for tokens",
        "limit type: token",
        "limit_type: token",
        "limit for token",
        "limit on token",
        "limit of token",
        "token bandwidth",
        "token throughput",
        "tokens within",
        "tokens in a minute",
        "allocated quota exceeded",
        "the provisioned throughput",
        "too many tokens",
        "input tokens",
        "output tokens",
        "tpm",
    ]),
];

pub(super) const RATES: &[Rule] = &[
    rate("requests", Scope::Account)
        .status(SLOWED)
        .text(&["logged in user", "your account's rate limit", "for user id"])
        .unsure(),
    rate("requests", Scope::Unknown)
        .status(SLOWED)
        .text(RATE)
        .unsure(),
    rate("requests, for a client's error", Scope::Unknown)
        .status(&[400])
        .text(&[
            "rate limit exceeded",
            "rate limit reached",
            "rate-limited",
            "rate limited",
            "rate exceeded",
            "request limit reached",
            "too many requests",
            "throttled",
        ])
        .unsure(),
    exhausted("a quota, by a 403", Scope::Unknown)
        .status(&[403])
        .text(&["limit exceeded", "exceeded your"]),
    rate("edge", Scope::Unknown).code(&["error code: 1015"]),
    exhausted("edge, a day's", Scope::Account).code(&["error code: 1027"]),
];

/// Words about a rate.
pub(super) const RATE: &[&str] = &[
    "requests per",
    "requests_per",
    "request per",
    "/min",
    "/sec",
    "/hour",
    "a minute",
    "this minute",
    "this hour",
    "a second",
    "an hour",
    "calls per",
    "queries per",
    "too many ",
    "request rate",
    "requests rate",
    "call rate",
    "rate limit",
    "rate-limit",
    "ratelimit",
    "rate exceeded",
    "rate_limit",
    "too fast",
    "too quickly",
    "too often",
    "too rapidly",
    "frequen",
    "per min",
    "per sec",
    "per hour",
    "slow down",
    "throttl",
    "rpm",
    "rps",
    "qps",
    "hourly",
    "request limit",
    "requests limit",
    "limit of requests",
];
