use http::Extensions;

use crate::Throttle;

/// The verdict on a response, in its extensions: `Some` for a refusal, `None` for what was read and is
/// none.
///
/// Its presence says that the response was read; layers above take it from there and do not read
/// again. A success that there was nothing to read in has none, which costs it nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Classified(pub Option<Throttle>);

impl Classified {
    /// The refusal a response was found to be, if it was read and is one.
    #[must_use]
    #[inline]
    pub fn throttle(extensions: &Extensions) -> Option<&Throttle> {
        extensions.get::<Self>()?.0.as_ref()
    }

    /// The same, to change: a pool adds its account, a limiter marks the refusal as paced.
    #[must_use]
    pub fn throttle_mut(extensions: &mut Extensions) -> Option<&mut Throttle> {
        extensions.get_mut::<Self>()?.0.as_mut()
    }
}
