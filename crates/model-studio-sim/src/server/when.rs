use super::random::{fraction, mix};

/// To which requests a [`Fault`](crate::Fault) happens.
#[derive(Clone, Debug, PartialEq)]
pub struct When(Choice);

#[derive(Clone, Debug, PartialEq)]
enum Choice {
    Share(f64),
    Script(Vec<u64>),
}

impl When {
    /// To this share (0 to 1) of them, drawn anew for every request, and the same for the same
    /// [`seed`](crate::Builder::seed).
    #[must_use]
    pub const fn share(share: f64) -> Self {
        Self(Choice::Share(share))
    }

    /// To the requests with these numbers. Requests for a model are counted from 1 as they arrive,
    /// over all accounts and models.
    #[must_use]
    pub fn requests(numbers: impl IntoIterator<Item = u64>) -> Self {
        Self(Choice::Script(numbers.into_iter().collect()))
    }

    /// Whether it is the turn of request `number`, with `draw` for a share.
    pub(super) fn is_now(&self, number: u64, draw: u64) -> bool {
        match &self.0 {
            Choice::Share(share) => fraction(mix(draw, number)) < *share,
            Choice::Script(numbers) => numbers.contains(&number),
        }
    }
}
