//! Providers in China whose tables are short. Sources: each provider's "Error codes" page.

use super::short::{concurrency, credential, exhausted, harmless, overloaded, rate, tokens};
use crate::{Rule, Scope};

const SLOWED: &[u16] = &[429, 503];

/// Concurrency is the only limit published.
pub(super) const DEEPSEEK: &[Rule] = &[
    tokens("tokens", Scope::Account)
        .status(SLOWED)
        .text(&["tpm", "tokens per"]),
    rate("requests", Scope::Account)
        .status(SLOWED)
        .text(&["rpm", "requests per"]),
    overloaded("busy", Scope::Server)
        .status(SLOWED)
        .text(&["busy", "overload"]),
    concurrency("in flight", Scope::Account).status(&[429]),
    exhausted("balance", Scope::Account).status(&[402]),
];

/// One sentence for all; the word behind "Details:" decides.
pub(super) const SILICONFLOW: &[Rule] = &[
    exhausted("paid balance", Scope::Model).code(&["30011"]),
    exhausted("balance", Scope::Account).code(&["30001"]),
    overloaded("busy", Scope::Server)
        .status(SLOWED)
        .text(&["too busy", "system is busy"]),
    overloaded("model", Scope::Model)
        .status(SLOWED)
        .code(&["50505", "50507", "50508", "60000"]),
    concurrency("in flight", Scope::Model)
        .status(SLOWED)
        .text(&["concurren"]),
    exhausted("a day's", Scope::Model)
        .status(SLOWED)
        .text(&["tpd", "rpd", "ipd"]),
    tokens("tokens", Scope::Model).status(SLOWED).text(&["tpm"]),
    rate("requests", Scope::Model)
        .status(SLOWED)
        .text(&["rpm", "ipm", "rate limiting"]),
];

/// Those who took the code over with what it means at `OpenAI`.
pub(super) const SPENT: &[Rule] =
    &[exhausted("money", Scope::Account).code(&["insufficient_quota", "quota_exceeded"])];

pub(super) const SENSENOVA: &[Rule] = &[
    tokens("tokens", Scope::Account).code(&["*Tpm*"]),
    rate("requests", Scope::Account).code(&["*Rpm*", "*Qps*"]),
    concurrency("in flight", Scope::Account).code(&["*Concurren*"]),
];

/// iFlytek's numbers.
pub(super) const SPARK: &[Rule] = &[
    harmless("size or content").code(&["10013", "10014", "10163", "10907"]),
    exhausted("a day's", Scope::Account).code(&["11201"]),
    // One code for no licence and for one that is used up; a licence that is named has figures.
    exhausted("licence used up", Scope::Account)
        .code(&["11200"])
        .text(&["tokens.total", "business.total"]),
    credential("licence", Scope::Account).code(&["11200"]),
    rate("calls a second", Scope::Account).code(&["11202"]),
    concurrency("in flight", Scope::Account).code(&["11203", "10007"]),
    overloaded("busy", Scope::Server).code(&["10008", "10110", "10010"]),
    rate("calls a second, in words", Scope::Account).text(&["qpsoverflow"]),
    concurrency("in flight, in words", Scope::Account).text(&["concoverflow"]),
    credential("licence, in words", Scope::Account).text(&["noautherror"]),
    credential("key", Scope::Key)
        .status(&[401, 403])
        .text(&["hmac"]),
];
