use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::Extensions;

use crate::{AccountId, Fingerprint};

/// What was decided on the way to a response, in its extensions.
///
/// Each layer adds what it did. A response without a trail came back from its first and only send.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trail {
    /// How often the request was sent upstream; 0 if never.
    pub attempts: u32,

    /// How long layers held it back, all attempts together.
    pub waited: Duration,

    /// The account of the answer.
    pub account: Option<AccountId>,

    /// The key of the answer.
    pub key: Option<Fingerprint>,

    /// The model that answered.
    pub model: Option<Arc<str>>,

    /// The candidate that answered, where a chain chose one.
    pub candidate: Option<Arc<str>>,

    /// How many candidates were tried.
    pub candidates_tried: u32,

    /// Whether a layer that waits out refusals had this one and handed it back: nobody above needs to
    /// leave it time.
    pub given_up: bool,

    /// What happened on the way, oldest first. Empty when the first send was answered.
    pub steps: Vec<Step>,
}

/// One decision on the way: which layer made it, and why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Step {
    /// The layer, by its crate's short name: `rate-limit`, `retry-429`, `key-rotation`, `fallback`.
    pub layer: &'static str,

    /// What it did and why, for people. No secret.
    pub reason: Cow<'static, str>,
}

impl Trail {
    /// The trail of a response that was never sent upstream.
    #[must_use]
    pub fn unsent() -> Self {
        Self {
            attempts: 0,
            ..Self::default()
        }
    }

    /// The trail of a response, begun if it has none.
    pub fn of(extensions: &mut Extensions) -> &mut Self {
        extensions.get_or_insert_default()
    }

    /// Takes the trail off a response that is about to be dropped, for [`absorb`](Self::absorb).
    #[must_use]
    pub fn take(extensions: &mut Extensions) -> Self {
        extensions.remove().unwrap_or_default()
    }

    /// Puts what happened before this response in front of what this trail knows.
    pub fn absorb(&mut self, earlier: Self) {
        self.attempts = self.attempts.saturating_add(earlier.attempts);
        self.waited = self.waited.saturating_add(earlier.waited);
        let mut steps = earlier.steps;
        steps.append(&mut self.steps);
        self.steps = steps;
    }

    /// Adds a decision.
    pub fn step(&mut self, layer: &'static str, reason: impl Into<Cow<'static, str>>) {
        self.steps.push(Step {
            layer,
            reason: reason.into(),
        });
    }
}

impl Default for Trail {
    fn default() -> Self {
        Self {
            attempts: 1,
            waited: Duration::ZERO,
            account: None,
            key: None,
            model: None,
            candidate: None,
            candidates_tried: 0,
            given_up: false,
            steps: Vec::new(),
        }
    }
}
