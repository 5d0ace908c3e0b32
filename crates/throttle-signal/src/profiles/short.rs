//! How the tables begin their rules.

use std::time::Duration;

use crate::{Kind, Rule, Scope};

/// The shortest time in which a limit by the second or by the minute can have room again.
///
/// A refusal does not say which of the two it was, and both windows slide.
pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// A day's limit that refills continuously states a wait below this; one that states more, or
/// nothing, ends with the day.
pub(crate) const SOON: Duration = Duration::from_secs(2 * 3600);

/// Says that a response which comes to here is no refusal, whatever rules follow.
pub(crate) const fn harmless(name: &'static str) -> Rule {
    Rule::new(name)
}

pub(crate) const fn rate(name: &'static str, scope: Scope) -> Rule {
    Rule::new(name).means(Kind::RequestRate, scope)
}

pub(crate) const fn tokens(name: &'static str, scope: Scope) -> Rule {
    Rule::new(name).means(Kind::TokenRate, scope)
}

pub(crate) const fn burst(name: &'static str, scope: Scope) -> Rule {
    Rule::new(name).means(Kind::Burst, scope)
}

pub(crate) const fn concurrency(name: &'static str, scope: Scope) -> Rule {
    Rule::new(name).means(Kind::Concurrency, scope)
}

pub(crate) const fn exhausted(name: &'static str, scope: Scope) -> Rule {
    Rule::new(name).means(Kind::QuotaExhausted, scope)
}

pub(crate) const fn overloaded(name: &'static str, scope: Scope) -> Rule {
    Rule::new(name).means(Kind::Overloaded, scope)
}

pub(crate) const fn credential(name: &'static str, scope: Scope) -> Rule {
    Rule::new(name).means(Kind::Credential, scope)
}
