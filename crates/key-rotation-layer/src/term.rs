use std::time::Duration;

use throttle_signal::Wait;

/// Longest wait that is a guess, other than between [rare probes](crate::KeyPoolBuilder::probe_every).
pub(crate) const LONGEST_GUESS: Duration = Duration::from_secs(15 * 60);

/// How long to leave something alone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Length {
    /// This long.
    Exactly(Duration),
    /// What such limits usually take; doubling, up to a minute, while it proves too short.
    Usually(Duration),
    /// Not known: the next step of the ladder.
    Guess,
    /// Until somebody does something about it, which a probe after this long may find out.
    OpenEnded(Duration),
}

/// How long a bench is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Term {
    /// As told, or the next guess.
    Told(Length),
    /// Until somebody does something, which only a rare probe can find out.
    Open,
}

/// How long a wait is, if it is known.
pub(crate) fn length(wait: Wait) -> Option<Length> {
    match wait {
        Wait::Stated(wait) => Some(Length::Exactly(wait)),
        // A guess, if an informed one.
        Wait::Typical(wait) => Some(Length::Usually(wait.min(LONGEST_GUESS))),
        _ => None,
    }
}

/// The length of an open term: the pause between rare probes, unless nobody else is left.
pub(crate) fn open_term(probe_every: Duration, last_usable: bool) -> Length {
    if last_usable {
        Length::Guess
    } else {
        Length::OpenEnded(probe_every)
    }
}
