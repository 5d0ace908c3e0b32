use throttle_signal::{Kind, Scope, Throttle};

use crate::term::{Length, Term, length};

/// What a refusal means for the pool: whom to leave alone, for how long, and whom to ask next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Sentence {
    pub(crate) bench: Option<(Target, Term)>,
    pub(crate) next: Next,
    /// The request itself is at fault, as far as one answer can tell.
    pub(crate) deterministic: bool,
}

/// What a bench is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Target {
    Key,
    Account,
    Model,
}

/// Who may be asked next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Next {
    /// Nobody: another key would hear the same.
    Nobody,
    /// Any key not asked yet, also of the same account.
    AnyKey,
    /// Another account.
    OtherAccount,
    /// Another account if it has room earlier than this one, where a limiter queues the request.
    EarlierAccount,
}

impl Sentence {
    /// Reads a refusal; `sent` is whether it came from the upstream or from a limiter below.
    pub(crate) fn on(throttle: &Throttle, sent: bool) -> Self {
        let passes_over = |next| Self {
            bench: None,
            next,
            deterministic: false,
        };
        if throttle.scope() == Scope::Server {
            return passes_over(Next::Nobody);
        }
        match throttle.kind() {
            Kind::Credential => Self::lasting(throttle, Target::Key),
            Kind::QuotaExhausted => Self::lasting(throttle, Target::Model),
            Kind::Concurrency => passes_over(Next::OtherAccount),
            kind if kind.is_rate() => {
                let told = throttle.wait().known();
                if !throttle.retry() && told.is_none() {
                    // Larger than any window, say: a larger account may take it, waiting will not help.
                    return Self {
                        bench: None,
                        next: Next::OtherAccount,
                        deterministic: true,
                    };
                }
                if throttle.paced() || !sent {
                    return passes_over(Next::EarlierAccount);
                }
                let target = target(throttle.scope(), Target::Model);
                let term = Term::Told(length(throttle.wait()).unwrap_or(Length::Guess));
                Self {
                    bench: Some((target, term)),
                    next: after(target),
                    deterministic: false,
                }
            }
            // Overloaded, and what later versions add: not the key's fault.
            _ => passes_over(Next::Nobody),
        }
    }

    /// A refusal that does not pass with time alone.
    fn lasting(throttle: &Throttle, unless_told: Target) -> Self {
        let target = target(throttle.scope(), unless_told);
        let term = length(throttle.wait()).map_or(Term::Open, Term::Told);
        Self {
            bench: Some((target, term)),
            next: after(target),
            deterministic: false,
        }
    }
}

fn target(scope: Scope, unless_told: Target) -> Target {
    match scope {
        Scope::Key => Target::Key,
        Scope::Account => Target::Account,
        Scope::Model => Target::Model,
        _ => unless_told,
    }
}

fn after(target: Target) -> Next {
    match target {
        Target::Key => Next::AnyKey,
        Target::Account | Target::Model => Next::OtherAccount,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use throttle_signal::Wait;

    use super::*;
    use crate::term::LONGEST_GUESS;

    const MINUTE: Duration = Duration::from_secs(60);

    fn throttle(kind: Kind, scope: Scope) -> Throttle {
        Throttle::new(kind).with_scope(scope)
    }

    #[test]
    fn benches_what_the_scope_names() {
        let told = Some((Target::Model, Term::Told(Length::Exactly(MINUTE))));
        let usual = Some((Target::Model, Term::Told(Length::Usually(MINUTE))));
        for (kind, scope, wait, bench, next) in [
            (
                Kind::Credential,
                Scope::Key,
                Wait::Unknown,
                Some((Target::Key, Term::Open)),
                Next::AnyKey,
            ),
            (
                Kind::Credential,
                Scope::Unknown,
                Wait::Unknown,
                Some((Target::Key, Term::Open)),
                Next::AnyKey,
            ),
            (
                Kind::Credential,
                Scope::Account,
                Wait::Unknown,
                Some((Target::Account, Term::Open)),
                Next::OtherAccount,
            ),
            (
                Kind::QuotaExhausted,
                Scope::Model,
                Wait::Stated(MINUTE),
                told,
                Next::OtherAccount,
            ),
            (
                Kind::QuotaExhausted,
                Scope::Account,
                Wait::Unknown,
                Some((Target::Account, Term::Open)),
                Next::OtherAccount,
            ),
            (
                Kind::RequestRate,
                Scope::Model,
                Wait::Typical(MINUTE),
                usual,
                Next::OtherAccount,
            ),
            (
                Kind::TokenRate,
                Scope::Unknown,
                Wait::Stated(MINUTE),
                told,
                Next::OtherAccount,
            ),
            (
                Kind::Burst,
                Scope::Model,
                Wait::Unknown,
                Some((Target::Model, Term::Told(Length::Guess))),
                Next::OtherAccount,
            ),
            (
                Kind::Concurrency,
                Scope::Account,
                Wait::Stated(MINUTE),
                None,
                Next::OtherAccount,
            ),
            (
                Kind::Overloaded,
                Scope::Model,
                Wait::Stated(MINUTE),
                None,
                Next::Nobody,
            ),
            (
                Kind::RequestRate,
                Scope::Server,
                Wait::Stated(MINUTE),
                None,
                Next::Nobody,
            ),
        ] {
            let throttle = throttle(kind, scope).with_wait(wait);
            let sentence = Sentence::on(&throttle, true);
            assert_eq!(
                (sentence.bench, sentence.next),
                (bench, next),
                "{throttle:?}"
            );
            assert!(!sentence.deterministic, "{throttle:?}");
        }
    }

    #[test]
    fn leaves_to_a_limiter_what_it_paces() {
        let throttle = throttle(Kind::RequestRate, Scope::Model).with_wait(Wait::Typical(MINUTE));
        let paced = Sentence::on(&throttle.clone().with_paced(true), true);
        assert_eq!((paced.bench, paced.next), (None, Next::EarlierAccount));
        let unsent = Sentence::on(&throttle.with_retry(false), false);
        assert_eq!((unsent.bench, unsent.next), (None, Next::EarlierAccount));
    }

    #[test]
    fn a_request_that_never_fits_benches_nobody() {
        let sentence = Sentence::on(
            &throttle(Kind::TokenRate, Scope::Model).with_retry(false),
            true,
        );
        assert_eq!((sentence.bench, sentence.next), (None, Next::OtherAccount));
        assert!(sentence.deterministic);
    }

    #[test]
    fn caps_a_guess_and_keeps_what_is_stated() {
        let day = MINUTE * 60 * 24;
        let throttle = throttle(Kind::RequestRate, Scope::Model);
        let bench = |wait| Sentence::on(&throttle.clone().with_wait(wait), true).bench;
        let told = |length| Some((Target::Model, Term::Told(length)));
        assert_eq!(
            bench(Wait::Typical(day)),
            told(Length::Usually(LONGEST_GUESS))
        );
        assert_eq!(bench(Wait::Stated(day)), told(Length::Exactly(day)));
    }
}
