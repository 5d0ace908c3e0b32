use std::task::Waker;

use throttle_signal::Fingerprint;

use crate::wakes::Wakes;

/// Those whose turn has come and who are not sent yet: the service below makes itself ready, which may
/// take a while. Until then they can be called back.
#[derive(Debug, Default)]
pub(crate) struct Called {
    places: Vec<Option<One>>,
    free: Vec<usize>,
}

#[derive(Debug)]
struct One {
    key: Option<Fingerprint>,
    waker: Option<Waker>,
    recalled: bool,
}

impl Called {
    pub(crate) fn is_empty(&self) -> bool {
        self.places.len() == self.free.len()
    }

    /// Notes one that is to go with this key, and returns its number.
    pub(crate) fn enter(&mut self, key: Option<Fingerprint>) -> usize {
        let one = One {
            key,
            waker: None,
            recalled: false,
        };
        let id = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        if let Some(place) = self.places.get_mut(id) {
            *place = Some(one);
        }
        id
    }

    /// One is sent, or given up. Returns whether it was called back.
    pub(crate) fn leave(&mut self, id: usize) -> bool {
        let one = self.places.get_mut(id).and_then(Option::take);
        self.free.extend(one.is_some().then_some(id));
        one.is_some_and(|one| one.recalled)
    }

    /// One goes on waiting for the service below, to be woken by `by` when it is called back. Returns
    /// whether it has been.
    pub(crate) fn hold(&mut self, id: usize, by: &Waker) -> bool {
        let Some(Some(one)) = self.places.get_mut(id) else {
            return false;
        };
        match &mut one.waker {
            Some(set) => set.clone_from(by),
            none => *none = Some(by.clone()),
        }
        one.recalled
    }

    /// Calls back those with this key, or all.
    pub(crate) fn recall(&mut self, key: Option<&Fingerprint>, wakes: &mut Wakes) {
        for one in self.places.iter_mut().flatten() {
            if key.is_none() || one.key.as_ref() == key {
                one.recalled = true;
                wakes.push(one.waker.take());
            }
        }
    }
}
