use std::fmt;
use std::sync::Arc;

use crate::redact::{beginning, redacted};
use crate::{AccountId, Fingerprint, Kind, Scope, Wait};

/// A refusal, read: what was exceeded, whom it concerns, how long it lasts and whether waiting
/// helps.
///
/// It travels up the stack in the extensions of the response, inside [`Classified`], so that the
/// layer which reads a response first reads it for all.
///
/// [`Classified`]: crate::Classified
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Throttle {
    kind: Kind,
    scope: Scope,
    wait: Wait,
    retry: bool,
    origin: Origin,
    paced: bool,
    account: Option<AccountId>,
    key: Option<Fingerprint>,
    model: Option<Arc<str>>,
    because: Arc<str>,
    said: Option<Said>,
}

/// The beginning of an upstream's message. It is masked when somebody looks, which few do.
#[derive(Clone, Eq, PartialEq)]
struct Said(Arc<str>);

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&redacted(&self.0), f)
    }
}

/// Who said it. For people: layers decide by [`Throttle::retry`] and [`Throttle::wait`] alone.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Origin {
    /// The upstream answered so.
    #[default]
    Upstream,

    /// A limiter of ours could not admit the request in time; it was not sent.
    Limiter,

    /// A pool of ours has no usable key now; the request was not sent.
    Pool,

    /// A chain of ours knows that every candidate is out; the request was not sent.
    Chain,
}

impl Throttle {
    /// Creates a refusal by the upstream of this kind, with nothing else known about it.
    ///
    /// [`retry`](Self::retry) starts as [`Kind::passes_with_time`].
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            scope: Scope::Unknown,
            wait: Wait::Unknown,
            retry: kind.passes_with_time(),
            origin: Origin::Upstream,
            paced: false,
            account: None,
            key: None,
            model: None,
            because: Arc::from(""),
            said: None,
        }
    }

    /// What was exceeded.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Whom it concerns.
    #[must_use]
    pub const fn scope(&self) -> Scope {
        self.scope
    }

    /// How long to stay away.
    #[must_use]
    pub const fn wait(&self) -> Wait {
        self.wait
    }

    /// Whether the same request, on the same scope, can succeed later with nobody doing anything.
    #[must_use]
    pub const fn retry(&self) -> bool {
        self.retry
    }

    /// Who refused.
    #[must_use]
    pub const fn origin(&self) -> Origin {
        self.origin
    }

    /// Whether a limiter below already holds back for this refusal, so that sending again at once
    /// is right: the limiter keeps the request until it may go, in its old place.
    #[must_use]
    pub const fn paced(&self) -> bool {
        self.paced
    }

    /// The account that was refused, where a pool chose one.
    #[must_use]
    pub const fn account(&self) -> Option<&AccountId> {
        self.account.as_ref()
    }

    /// The key that was refused, where a pool chose one.
    #[must_use]
    pub const fn key(&self) -> Option<&Fingerprint> {
        self.key.as_ref()
    }

    /// The model that was refused, where the request named one.
    #[must_use]
    pub const fn model(&self) -> Option<&Arc<str>> {
        self.model.as_ref()
    }

    /// Why it was read so: the profile and its rule, for people.
    #[must_use]
    pub fn because(&self) -> &str {
        &self.because
    }

    /// What the upstream said, for people: its message in at most a line, with everything masked
    /// that looks like an id or a key.
    #[must_use]
    pub fn said(&self) -> Option<String> {
        self.said.as_ref().map(|Said(text)| redacted(text))
    }

    /// Sets whom it concerns.
    #[must_use]
    pub fn with_scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// Sets how long to stay away.
    #[must_use]
    pub fn with_wait(mut self, wait: Wait) -> Self {
        self.wait = wait;
        self
    }

    /// Sets whether waiting helps.
    #[must_use]
    pub fn with_retry(mut self, retry: bool) -> Self {
        self.retry = retry;
        self
    }

    /// Sets who refused.
    #[must_use]
    pub fn with_origin(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self
    }

    /// Sets whether a limiter below holds back for it.
    #[must_use]
    pub fn with_paced(mut self, paced: bool) -> Self {
        self.paced = paced;
        self
    }

    /// Sets the account.
    #[must_use]
    pub fn with_account(mut self, account: Option<AccountId>) -> Self {
        self.account = account;
        self
    }

    /// Sets the key.
    #[must_use]
    pub fn with_key(mut self, key: Option<Fingerprint>) -> Self {
        self.key = key;
        self
    }

    /// Sets the model.
    #[must_use]
    pub fn with_model(mut self, model: Option<Arc<str>>) -> Self {
        self.model = model;
        self
    }

    /// Sets why it was read so. It must hold no secret: it is logged.
    #[must_use]
    pub fn with_because(mut self, because: impl Into<Arc<str>>) -> Self {
        self.because = because.into();
        self
    }

    /// The same refusal, of a quota that was taken for a rate.
    pub(crate) fn into_exhausted(self) -> Self {
        Self {
            kind: Kind::QuotaExhausted,
            retry: false,
            because: Arc::from(format!("{}, for two minutes and more", self.because)),
            ..self
        }
    }

    /// Sets what the upstream said. Ids and keys in it are masked when it is shown.
    #[must_use]
    pub fn with_said(mut self, text: Option<&str>) -> Self {
        self.said = text.map(|text| Said(Arc::from(beginning(text))));
        self
    }
}

impl fmt::Display for Throttle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::RequestRate => "too many requests",
            Kind::TokenRate => "too many tokens",
            Kind::Burst => "the rate grew too quickly",
            Kind::Concurrency => "too many requests at once",
            Kind::QuotaExhausted => "the quota is used up",
            Kind::Overloaded => "the server is overloaded",
            Kind::Credential => "the key or account was not accepted",
        })?;
        if let Some(model) = &self.model {
            write!(f, " for {model}")?;
        }
        if let Some(account) = &self.account {
            write!(f, " on account {account}")?;
        }
        match (self.retry, self.wait) {
            (true, Wait::Stated(wait)) => write!(f, "; try again in {}", Seconds(wait)),
            (true, Wait::Typical(wait)) => {
                write!(f, "; such limits usually pass in {}", Seconds(wait))
            }
            (true, Wait::Unknown) => f.write_str("; it passes with time"),
            (false, Wait::Stated(wait)) => {
                write!(
                    f,
                    "; it is over in {}, later than this request can wait",
                    Seconds(wait)
                )
            }
            (false, _) => f.write_str("; waiting does not help"),
        }
    }
}

/// Shows a duration in seconds, to the millisecond and without trailing zeros.
struct Seconds(std::time::Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rounded =
            std::time::Duration::from_millis(u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX));
        write!(f, "{rounded:?}")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn is_shown_as_one_sentence() {
        let named = Throttle::new(Kind::TokenRate)
            .with_model(Some(Arc::from("qwen3-max")))
            .with_account(Some(AccountId::from("a")))
            .with_wait(Wait::Stated(Duration::from_micros(1_234_567)));
        let exhausted = Throttle::new(Kind::QuotaExhausted);
        for (throttle, sentence) in [
            (
                named.clone(),
                "too many tokens for qwen3-max on account a; try again in 1.234s",
            ),
            (
                named.with_retry(false),
                "too many tokens for qwen3-max on account a; it is over in 1.234s, later than this request can wait",
            ),
            (
                Throttle::new(Kind::Burst).with_wait(Wait::Typical(Duration::from_secs(10))),
                "the rate grew too quickly; such limits usually pass in 10s",
            ),
            (
                Throttle::new(Kind::Overloaded),
                "the server is overloaded; it passes with time",
            ),
            (exhausted, "the quota is used up; waiting does not help"),
        ] {
            assert_eq!(throttle.to_string(), sentence);
        }
    }
}
