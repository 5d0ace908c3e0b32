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
    pub(crate) wait: bool,
    pub(crate) exhausted: bool,
    pub(crate) overloaded: bool,
    pub(crate) credential: bool,
    pub(crate) server_error: bool,
    pub(crate) context_length: bool,
    pub(crate) content_refused: bool,
    pub(crate) first_event: bool,
}

impl Triggers {
    /// All but [`content_refused`](Self::content_refused).
    pub const fn new() -> Self {
        Self {
            wait: true,
            exhausted: true,
            overloaded: true,
            credential: true,
            server_error: true,
            context_length: true,
            content_refused: false,
            first_event: true,
        }
    }

    /// None.
    pub const fn none() -> Self {
        Self {
            wait: false,
            exhausted: false,
            overloaded: false,
            credential: false,
            server_error: false,
            context_length: false,
            content_refused: false,
            first_event: false,
        }
    }

    /// A rate or concurrency limit whose wait passes the candidate's patience, or is not known.
    pub const fn wait(mut self, on: bool) -> Self {
        self.wait = on;
        self
    }

    /// A quota that is used up.
    pub const fn exhausted(mut self, on: bool) -> Self {
        self.exhausted = on;
        self
    }

    /// A server without room.
    pub const fn overloaded(mut self, on: bool) -> Self {
        self.overloaded = on;
        self
    }

    /// No key or account is accepted. With a pool below, it has none left.
    pub const fn credential(mut self, on: bool) -> Self {
        self.credential = on;
        self
    }

    /// A status of 500 to 599 that is no refusal.
    ///
    /// The server may have done, and charged for, what was asked before it failed.
    pub const fn server_error(mut self, on: bool) -> Self {
        self.server_error = on;
        self
    }

    /// A request longer than the model's context, as providers put it in the body of a 400, 413 or
    /// 422. It goes to candidates with a longer [`context`](crate::Candidate::context), or an unknown
    /// one.
    pub const fn context_length(mut self, on: bool) -> Self {
        self.context_length = on;
        self
    }

    /// A request whose content is refused, as providers put it in the body of a 400. Off unless asked
    /// for: another model may be less careful, which is seldom what is wanted.
    pub const fn content_refused(mut self, on: bool) -> Self {
        self.content_refused = on;
        self
    }

    /// An error in place of a stream's first event. The head of the response is held back until that
    /// event has come.
    pub const fn first_event(mut self, on: bool) -> Self {
        self.first_event = on;
        self
    }
}

impl Default for Triggers {
    fn default() -> Self {
        Self::new()
    }
}
