/// What makes a chain try its next candidate. Each can be switched.
///
/// # Example
///
/// ```
/// use fallback_layer::Triggers;
///
/// let careful = Triggers::new().server_error(false);
/// # drop(careful);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub struct Triggers {
    // A bit for each `Trigger`.
    on: u8,
}

/// One thing that makes a chain go on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Trigger {
    Wait,
    Exhausted,
    Overloaded,
    Credential,
    ServerError,
    ContextLength,
    ContentRefused,
    FirstEvent,
}

impl Triggers {
    /// All but [`content_refused`](Self::content_refused).
    pub const fn new() -> Self {
        Self { on: u8::MAX }.content_refused(false)
    }

    /// None.
    pub const fn none() -> Self {
        Self { on: 0 }
    }

    pub(crate) const fn has(self, trigger: Trigger) -> bool {
        self.on & (1 << trigger as u8) != 0
    }

    const fn set(self, trigger: Trigger, on: bool) -> Self {
        let bit = 1 << trigger as u8;
        Self {
            on: if on { self.on | bit } else { self.on & !bit },
        }
    }

    /// A rate or concurrency limit whose wait passes the candidate's patience, or is not known.
    pub const fn wait(self, on: bool) -> Self {
        self.set(Trigger::Wait, on)
    }

    /// A quota that is used up.
    pub const fn exhausted(self, on: bool) -> Self {
        self.set(Trigger::Exhausted, on)
    }

    /// A server without room.
    pub const fn overloaded(self, on: bool) -> Self {
        self.set(Trigger::Overloaded, on)
    }

    /// No key or account is accepted. With a pool below, it has none left.
    pub const fn credential(self, on: bool) -> Self {
        self.set(Trigger::Credential, on)
    }

    /// A status of 500 to 599 that is no refusal.
    ///
    /// The server may have done, and charged for, what was asked before it failed.
    pub const fn server_error(self, on: bool) -> Self {
        self.set(Trigger::ServerError, on)
    }

    /// A request longer than the model's context, as providers put it in the body of a 400, 413 or
    /// 422. It goes to candidates with a longer [`context`](crate::Candidate::context), or an unknown
    /// one.
    pub const fn context_length(self, on: bool) -> Self {
        self.set(Trigger::ContextLength, on)
    }

    /// A request whose content is refused, as providers put it in the body of a 400. Off unless asked
    /// for: another model may be less careful, which is seldom what is wanted.
    pub const fn content_refused(self, on: bool) -> Self {
        self.set(Trigger::ContentRefused, on)
    }

    /// An error in place of a stream's first event. The head of the response is held back until that
    /// event has come.
    pub const fn first_event(self, on: bool) -> Self {
        self.set(Trigger::FirstEvent, on)
    }
}

impl Default for Triggers {
    fn default() -> Self {
        Self::new()
    }
}
