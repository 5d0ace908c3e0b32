use std::fmt;

use crate::Replay;
use crate::tape::Tape;
use crate::whole::Whole;

/// What a layer holds on to while a body is sent, to send it again.
///
/// Made by [`Replay::keep`].
pub struct Kept<B> {
    source: Source<B>,
}

enum Source<B> {
    Copy(Option<B>),
    Tape { tape: Tape, play: fn(Whole) -> B },
}

impl<B> Kept<B> {
    /// Keeps a copy, or nothing.
    ///
    /// For implementing [`Replay::keep`]; its default does this.
    pub const fn new(copy: Option<B>) -> Self {
        Self {
            source: Source::Copy(copy),
        }
    }

    pub(crate) const fn tape(tape: Tape, play: fn(Whole) -> B) -> Self {
        Self {
            source: Source::Tape { tape, play },
        }
    }
}

impl<B: Replay> Kept<B> {
    /// Returns the body from its first byte, or `None` if it cannot be sent again.
    ///
    /// A body recorded as it flowed can be sent again once it has ended within its cap; while it
    /// flows, as when the upstream answers early, the answer is `None`.
    pub fn replay(&self) -> Option<B> {
        match &self.source {
            Source::Copy(copy) => copy.as_ref()?.replay(),
            Source::Tape { tape, play } => tape.whole().map(play),
        }
    }
}

impl<B> fmt::Debug for Kept<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The body is a caller's data and does not belong in a log.
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}
