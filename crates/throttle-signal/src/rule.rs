use std::time::Duration;

use crate::{Kind, Scope};

/// One line of a [`Profile`](crate::Profile): what a response has to say, and what that means.
///
/// A condition holds when any of its patterns is found; a rule applies when all of its conditions
/// hold; of a profile's rules the first that applies decides. Patterns ignore the case of ASCII
/// letters.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use throttle_signal::{Kind, Rule, Scope};
///
/// const NIGHTLY: Rule = Rule::new("nightly maintenance")
///     .status(&[503])
///     .text(&["nightly maintenance"])
///     .means(Kind::Overloaded, Scope::Server)
///     .typical(Duration::from_secs(600));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    pub(crate) name: &'static str,
    pub(crate) status: &'static [u16],
    pub(crate) code: &'static [&'static str],
    pub(crate) text: &'static [&'static str],
    pub(crate) and: &'static [&'static str],
    pub(crate) without: &'static [&'static str],
    pub(crate) header: Option<(&'static str, &'static str)>,
    pub(crate) model: &'static [&'static str],
    pub(crate) wait_under: Option<Duration>,
    pub(crate) wait_from: Option<Duration>,
    pub(crate) verdict: Option<(Kind, Scope)>,
    pub(crate) retry: Option<bool>,
    pub(crate) typical: Option<Duration>,
    pub(crate) unsure: bool,
    pub(crate) suspect: bool,
    pub(crate) place: Place,
    pub(crate) spoken: bool,
}

impl Rule {
    /// Creates a rule without conditions: it applies to every response, and says it is no refusal.
    ///
    /// The name goes into [`Throttle::because`](crate::Throttle::because).
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            status: &[],
            code: &[],
            text: &[],
            and: &[],
            without: &[],
            header: None,
            model: &[],
            wait_under: None,
            wait_from: None,
            verdict: None,
            retry: None,
            typical: None,
            unsure: false,
            suspect: false,
            place: Place::First,
            spoken: false,
        }
    }

    /// Requires one of these statuses.
    ///
    /// Where the error comes inside a success, the status its body names counts; if it names none,
    /// the condition holds for rules that also look at the content.
    #[must_use]
    pub const fn status(self, status: &'static [u16]) -> Self {
        Self { status, ..self }
    }

    /// Requires one of these as a machine field of the body: a code, type, status, reason or quota
    /// id, numbers in decimal; or, exactly, as a message of at most 96 bytes.
    ///
    /// A `*` at the beginning or end of a pattern stands for anything.
    #[must_use]
    pub const fn code(self, code: &'static [&'static str]) -> Self {
        Self { code, ..self }
    }

    /// Requires one of these somewhere in the messages of the body.
    #[must_use]
    pub const fn text(self, text: &'static [&'static str]) -> Self {
        Self { text, ..self }
    }

    /// Requires one of these as well, next to [`text`](Self::text).
    #[must_use]
    pub const fn and(self, and: &'static [&'static str]) -> Self {
        Self { and, ..self }
    }

    /// Requires that none of these is in the messages.
    #[must_use]
    pub const fn without(self, without: &'static [&'static str]) -> Self {
        Self { without, ..self }
    }

    /// Requires a header whose value begins with `prefix`, which may be empty.
    #[must_use]
    pub const fn header(self, name: &'static str, prefix: &'static str) -> Self {
        Self {
            header: Some((name, prefix)),
            ..self
        }
    }

    /// Requires that the request named one of these models. A `*` as in [`code`](Self::code).
    #[must_use]
    pub const fn model(self, model: &'static [&'static str]) -> Self {
        Self { model, ..self }
    }

    /// Requires that the response states a wait, and one shorter than this.
    #[must_use]
    pub const fn wait_under(self, wait: Duration) -> Self {
        Self {
            wait_under: Some(wait),
            ..self
        }
    }

    /// Requires that the response states a wait, and one at least as long as this.
    #[must_use]
    pub const fn wait_from(self, wait: Duration) -> Self {
        Self {
            wait_from: Some(wait),
            ..self
        }
    }

    /// Says that it is a refusal of this kind, and whom it concerns.
    #[must_use]
    pub const fn means(self, kind: Kind, scope: Scope) -> Self {
        Self {
            verdict: Some((kind, scope)),
            ..self
        }
    }

    /// Says whether waiting helps, where that is not what the kind suggests.
    #[must_use]
    pub const fn retry(self, retry: bool) -> Self {
        Self {
            retry: Some(retry),
            ..self
        }
    }

    /// Says how long such limits usually take, for responses that state no wait.
    ///
    /// It should be the shortest time that can be true: it is where a caller starts who knows
    /// nothing else, and whoever is refused again waits longer.
    #[must_use]
    pub const fn typical(self, wait: Duration) -> Self {
        Self {
            typical: Some(wait),
            ..self
        }
    }

    /// Lets rate limit headers that name an exhausted dimension overrule the kind.
    #[must_use]
    pub const fn unsure(self) -> Self {
        Self {
            unsure: true,
            ..self
        }
    }

    /// Takes it for an exhausted quota when it has lasted for two minutes without a success between.
    #[must_use]
    pub const fn until_it_lasts(self) -> Self {
        Self {
            suspect: true,
            ..self
        }
    }

    /// Requires that the body says anything at all.
    pub(crate) const fn spoken(self) -> Self {
        Self {
            spoken: true,
            ..self
        }
    }

    /// Asks it after the words that mean the same everywhere, for what a provider's status says where
    /// nothing else does.
    pub(crate) const fn last(self) -> Self {
        Self {
            place: Place::Last,
            ..self
        }
    }

    /// Whether anything but the status is looked at.
    pub(crate) const fn looks_inside(&self) -> bool {
        !self.code.is_empty() || !self.text.is_empty() || self.header.is_some()
    }
}

/// Where among the rules of everybody a table's rule is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    First,
    Last,
}

/// Whether `value` is what `pattern` asks for, without regard to ASCII case.
pub(crate) fn fits(pattern: &str, value: &str) -> bool {
    let (open_start, pattern) = match pattern.strip_prefix('*') {
        Some(rest) => (true, rest),
        None => (false, pattern),
    };
    let (open_end, pattern) = match pattern.strip_suffix('*') {
        Some(rest) => (true, rest),
        None => (false, pattern),
    };
    let (pattern, value) = (pattern.as_bytes(), value.as_bytes());
    if value.len() < pattern.len() {
        return false;
    }
    match (open_start, open_end) {
        (false, false) => value.eq_ignore_ascii_case(pattern),
        (false, true) => value[..pattern.len()].eq_ignore_ascii_case(pattern),
        (true, false) => value[value.len() - pattern.len()..].eq_ignore_ascii_case(pattern),
        (true, true) => {
            pattern.is_empty()
                || value
                    .windows(pattern.len())
                    .any(|part| part.eq_ignore_ascii_case(pattern))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything_at_either_end() {
        for (pattern, value) in [
            ("a.b", "A.B"),
            ("Throttling.*", "Throttling.RateQuota"),
            ("*Exception", "ThrottlingException"),
            ("*PerDay*", "GenerateRequestsPerDayPerProject"),
            ("*", ""),
            ("*", "x"),
        ] {
            assert!(fits(pattern, value), "{pattern} {value}");
        }
        for (pattern, value) in [
            ("Throttling", "Throttling.RateQuota"),
            ("Throttling.*", "Throttling"),
            ("*Exception", "ExceptionX"),
            ("*PerDay*", "PerMinute"),
            ("a", ""),
        ] {
            assert!(!fits(pattern, value), "{pattern} {value}");
        }
    }
}
