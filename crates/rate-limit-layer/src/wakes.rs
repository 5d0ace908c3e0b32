use std::task::Waker;

/// Whom to wake once the lock is released.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    first: Option<Waker>,
    rest: Vec<Waker>,
}

impl Wakes {
    pub(crate) fn push(&mut self, waker: Option<Waker>) {
        if self.first.is_none() {
            self.first = waker;
        } else {
            self.rest.extend(waker);
        }
    }

    /// Wakes them. Not under the lock: a waker may run anything.
    pub(crate) fn wake(self) {
        for waker in self.first.into_iter().chain(self.rest) {
            waker.wake();
        }
    }
}
