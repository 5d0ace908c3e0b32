//! For strangers: codes and words that mean the same nearly everywhere, then the status.

pub(crate) mod chinese;
mod codes;
mod denied;
pub(crate) mod families;
mod late;
mod money;
mod words;

use super::model_studio;
use super::short::{exhausted, harmless, overloaded, rate};
use crate::profile::Table;
use crate::{Rule, Scope};

/// Its rules come after those of every table, this one's too.
pub(crate) const TABLE: Table = Table {
    name: "generic",
    hosts: &[],
    rules: &[],
    in_success: false,
};

pub(crate) const RULES: &[&[Rule]] = &[
    BORROWED,
    codes::CODES,
    model_studio::CODED,
    model_studio::TOKENS,
    words::FIRST,
    chinese::FIRST,
    money::WORDS,
    chinese::SPENT,
    chinese::CROWDED,
    chinese::WORDS,
    words::WORDS,
    late::PASSING,
];

/// What comes after a table's last words.
pub(crate) const LATE: &[&[Rule]] = &[
    words::RATES,
    chinese::LAST,
    denied::WORDS,
    denied::CHINESE,
    families::SPENT,
    families::CROWDED,
    families::REST,
    late::VAGUE,
    late::STATUS,
];

/// What gRPC's own libraries say with the status of a limit. It comes before the rules of every table.
pub(crate) const LIBRARY: &[Rule] = &[harmless("message size").text(&[
    "message larger than max",
    "message exceeds maximum size",
    "message length too large",
])];

/// Statuses under which words about rates are believed.
const SLOWED: &[u16] = &[403, 413, 420, 429, 430, 432, 456, 498, 503, 509, 529];

/// Statuses of a server without room.
const BUSY: &[u16] = &[429, 498, 500, 502, 503, 504, 524, 529];

/// Gateways borrow codes for what is their own, and say in words what they mean.
const BORROWED: &[Rule] = &[
    // Relays put one sentence over whatever was refused with a 429; the code is what it was.
    exhausted("a user's quota", Scope::Account).code(&["insufficient_user_quota"]),
    overloaded("somebody else's", Scope::Model)
        .status(SLOWED)
        .text(&[
            "rate-limited upstream",
            "rate limited upstream",
            "upstream rate",
            "upstream is rate",
            "upstream provider is rate",
            "upstream returned 429",
            "upstream 429",
            "no channel available",
            "上游负载",
            "上游限流",
            "no available channel",
            "无可用渠道",
            "负载已饱和",
        ]),
    overloaded("a gateway's pool", Scope::Model)
        .status(SLOWED)
        .text(&["no deployments available"])
        .without(&["budget"]),
    overloaded("somebody else's", Scope::Model)
        .status(SLOWED)
        .text(&[
            "from provider",
            "provider rate",
            "from upstream",
            "upstream error",
            "upstream provider",
        ])
        .and(&["rate limit", "rate-limit", "too many request", "(429)"])
        .without(&["your"]),
    rate("one of a gateway's limits", Scope::Unknown)
        .status(SLOWED)
        .text(&["crossed tpm / rpm"])
        .unsure(),
    rate("requests, whatever the code", Scope::Unknown)
        .status(SLOWED)
        .code(&["credit_limit"])
        .text(&["rate limit"])
        .unsure(),
    // About what was asked, or how it is paid for: no limit.
    harmless("content")
        .status(&[400, 403, 422, 451])
        .text(&[
            "moderation",
            "was flagged",
            "were flagged",
            "content policy",
            "content violates",
            "violates usage guidelines",
            "safety system",
        ])
        .without(&["account", "organization"]),
    harmless("a customer's card").code(&["card_error", "card_declined"]),
];
