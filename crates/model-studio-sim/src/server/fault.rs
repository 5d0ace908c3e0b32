use std::time::Duration;

use crate::RefusalKind;

/// Something that goes wrong on demand, for [`Builder::fault`](crate::Builder::fault).
///
/// All but [`Refuse`](Self::Refuse) happen to requests that the limits admitted: they count
/// against the request windows, and against the token windows with what was made of the answer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// Is refused in the provider's words, before any limit is asked and at no cost.
    /// [`RefusalKind::Overloaded`] is the `503`.
    Refuse(RefusalKind),
    /// Is answered with `500`, at no tokens.
    InternalError,
    /// Is never answered; the connection stays open.
    Hang,
    /// Is not answered: the connection is reset.
    Reset,
    /// Is answered by half; then the connection is reset.
    ResetInBody,
    /// Is answered by half; then the body ends as if it were complete. A stream lacks its last
    /// events, a whole answer is not JSON.
    Truncate,
    /// Is answered with `200` and an error inside: in place of a whole answer, or as the last
    /// event of a stream that has had `after` others.
    ErrorEvent {
        /// In the words of this refusal.
        kind: RefusalKind,
        /// How many events come first. With 0 it is the first.
        after: u32,
    },
    /// Is answered slowly: this pause before every event, or every 64 bytes of a whole answer.
    Trickle(Duration),
}

impl Fault {
    /// The name it has in the ledger.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Refuse(_) => "refuse",
            Self::InternalError => "internal_error",
            Self::Hang => "hang",
            Self::Reset => "reset",
            Self::ResetInBody => "reset_in_body",
            Self::Truncate => "truncate",
            Self::ErrorEvent { .. } => "error_event",
            Self::Trickle(_) => "trickle",
        }
    }
}
