//! Words by families: what is short, and that it is short. They are asked after the sentences that are
//! known, so that wordings nobody has met are read as well.

use super::super::short::{concurrency, credential, exhausted, overloaded, tokens};
use super::{BUSY, SLOWED};
use crate::{Rule, Scope};

/// What is paid for or given for long, and that nothing is left of it.
pub(crate) const SPENT: &[Rule] = &[
    exhausted("nothing is left", Scope::Account)
        .status(&[400, 402, 403, 429, 503])
        .text(&[
            "used up",
            "using up",
            "run out",
            "ran out",
            "running out",
            "exhausted",
            "depleted",
            "trial has expired",
            "trial has ended",
            "consumed",
            "no remaining",
            "nothing left",
            "quota left",
            "credits left",
            "not enough",
            "insufficient",
            "is 0",
            "is zero",
        ])
        .and(&[
            "quota",
            "allowance",
            "allotment",
            "credit",
            "package",
            "your plan",
            "subscription",
            "trial",
            "budget",
            "included",
            "purchased",
            "prepaid",
            "balance",
            "funds",
        ])
        .without(RATES),
    exhausted("what was paid for has ended", Scope::Account)
        .status(&[402, 429])
        .text(ENDED)
        .and(&[
            "plan",
            "subscription",
            "trial",
            "package",
            "membership",
            "quota",
            "credits",
        ])
        .without(RATES),
    exhausted("of a long window", Scope::Account)
        .status(SLOWED)
        .text(&[
            "weekly",
            "monthly",
            "7-day",
            "5-hour",
            "30-day",
            "billing cycle",
        ])
        .and(&[
            "limit",
            "quota",
            "allowance",
            "budget",
            "credit",
            "usage",
            "cap",
        ]),
];

/// That there is no room for anybody.
pub(crate) const CROWDED: &[Rule] = &[overloaded("no room", Scope::Server)
    .status(BUSY)
    .text(&[
        "busy",
        "overload",
        "capacity",
        "congest",
        "saturat",
        "backlog",
        "too many users",
        "heavy traffic",
        "high load",
        "queue is full",
        "resources are insufficient",
        "insufficient resources",
        "not enough resources",
        "resources exhausted",
        "resource shortage",
        "no instance",
        "no backend",
        "no server",
        "no healthy",
        "warming up",
        "is loading",
        "still loading",
        "starting up",
        "maintenance",
    ])
    .without(&["your capacity", "storage", "disk"])];

/// The rest: of what is done at once, of tokens, and of what is closed.
pub(super) const REST: &[Rule] = &[
    overloaded("made to wait", Scope::Server)
        .status(BUSY)
        .code(&["*_queued", "*waiting_room*"]),
    concurrency("at once", Scope::Unknown)
        .status(SLOWED)
        .text(TOGETHER),
    exhausted("what was paid for has ended, by a 403", Scope::Account)
        .status(&[403])
        .text(ENDED)
        .and(&[
            "plan",
            "trial",
            "package",
            "membership",
            "quota",
            "credits",
            "renew",
        ]),
    exhausted("what was paid for has ended, by a 403", Scope::Account)
        .status(&[403])
        .text(&["到期", "过期", "续费", "续订"])
        .and(&["套餐", "订阅", "会员", "试用", "额度", "资源包"]),
    tokens("tokens a second", Scope::Unknown)
        .status(SLOWED)
        .text(&["tps limit", "tps exceeded", "tps quota", "(tps)"]),
    credential("kept out", Scope::Unknown)
        .status(&[403])
        .code(&["*banned", "*_blocked"]),
    credential("not open to the caller", Scope::Unknown)
        .status(&[403])
        .text(&[
            "not activated",
            "not been activated",
            "not authori",
            "not subscribed",
            "not enabled",
            "not opened",
            "not provisioned",
            "not permitted",
            "no permission",
        ]),
];

const ENDED: &[&str] = &["expired", "ended", "renew", "lapsed"];

/// What is said of too much at once.
pub(crate) const TOGETHER: &[&str] = &[
    "concurren",
    "simultaneous",
    "parallel",
    "in flight",
    "in-flight",
    "at a time",
    "at the same time",
    "running task",
    "running job",
    "tasks running",
    "still running",
    "still processing",
    "being processed",
    "in-progress",
    "active connection",
    "active session",
    "pending task",
    "unfinished task",
];

/// Said of what comes back within a minute.
const RATES: &[&str] = &[
    "per minute",
    "per second",
    "per min",
    "rate limit",
    "rate quota",
    "rpm",
    "tpm",
    "qps",
    "thinking",
    "e.g. check quota",
    "insufficient_quota",
    "current quota",
    "insufficient permission",
    "insufficient scope",
];
