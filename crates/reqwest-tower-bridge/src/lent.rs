use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::Extensions;

/// The extensions of a request while they are with those below.
pub(crate) type Shared = Arc<Mutex<Extensions>>;

/// A loan of extensions. They are given back when it ends, also where a request is dropped half way:
/// whoever gave up on it may send it again with what came by `with_extension`.
#[derive(Debug)]
pub(crate) struct Lent<'a> {
    owner: &'a mut Extensions,
    shared: Shared,
}

impl<'a> Lent<'a> {
    pub(crate) fn new(owner: &'a mut Extensions) -> Self {
        let shared = Arc::new(Mutex::new(mem::take(owner)));
        Self { owner, shared }
    }

    pub(crate) fn shared(&self) -> Shared {
        Arc::clone(&self.shared)
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        *self.owner = mem::take(&mut lock(&self.shared));
    }
}

/// Locks extensions, as nobody does while running code that could panic.
pub(crate) fn lock(extensions: &Mutex<Extensions>) -> MutexGuard<'_, Extensions> {
    extensions.lock().unwrap_or_else(PoisonError::into_inner)
}
