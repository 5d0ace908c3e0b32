use std::fmt;
use std::time::Duration;

use http::StatusCode;
use throttle_signal::{Kind, Throttle};

/// One attempt at a request: which it was, and how it ended. What a [`Policy`](crate::Policy) decides by.
pub struct Attempt<'a, E> {
    number: u32,
    elapsed: Duration,
    outcome: Outcome<'a, E>,
}

/// How an attempt ended.
enum Outcome<'a, E> {
    Answer {
        status: StatusCode,
        throttle: Option<&'a Throttle>,
    },
    Error(&'a E),
}

impl<'a, E> Attempt<'a, E> {
    /// Describes an attempt that was answered. `number` counts from 1.
    #[must_use]
    pub const fn answered(
        number: u32,
        elapsed: Duration,
        status: StatusCode,
        throttle: Option<&'a Throttle>,
    ) -> Self {
        let outcome = Outcome::Answer { status, throttle };
        Self {
            number,
            elapsed,
            outcome,
        }
    }

    /// Describes an attempt that failed without an answer. `number` counts from 1.
    #[must_use]
    pub const fn failed(number: u32, elapsed: Duration, error: &'a E) -> Self {
        let outcome = Outcome::Error(error);
        Self {
            number,
            elapsed,
            outcome,
        }
    }

    /// Which attempt it was: 1 for the original send, 2 for the first retry. Retries that a client
    /// above says it made (`x-stainless-retry-count`) count.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// The time since the request was first sent, waits included.
    #[must_use]
    pub const fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// The status of the answer, if there was one.
    #[must_use]
    pub const fn status(&self) -> Option<StatusCode> {
        match self.outcome {
            Outcome::Answer { status, .. } => Some(status),
            Outcome::Error(_) => None,
        }
    }

    /// The refusal the answer was, if it was one.
    #[must_use]
    pub const fn throttle(&self) -> Option<&'a Throttle> {
        match self.outcome {
            Outcome::Answer { throttle, .. } => throttle,
            Outcome::Error(_) => None,
        }
    }

    /// The error of the inner service, if there was no answer.
    #[must_use]
    pub const fn error(&self) -> Option<&'a E> {
        match self.outcome {
            Outcome::Answer { .. } => None,
            Outcome::Error(error) => Some(error),
        }
    }

    /// Whether the request was certainly not processed, so that sending it again repeats nothing,
    /// whatever its method: every refusal of a limit or a key, and overload under a status that is
    /// given before the work (RFC 9110, section 15.6.4; 529, and what has no status of a server's failure).
    #[must_use]
    pub fn was_not_processed(&self) -> bool {
        let Outcome::Answer {
            status,
            throttle: Some(throttle),
        } = self.outcome
        else {
            return false;
        };
        throttle.kind() != Kind::Overloaded
            || !status.is_server_error()
            || matches!(status.as_u16(), 503 | 529)
    }
}

impl<E> Clone for Attempt<'_, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Attempt<'_, E> {}

impl<E> Clone for Outcome<'_, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Outcome<'_, E> {}

impl<E> fmt::Debug for Attempt<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("number", &self.number)
            .field("elapsed", &self.elapsed)
            .field("status", &self.status())
            .field("throttle", &self.throttle())
            .finish_non_exhaustive()
    }
}
