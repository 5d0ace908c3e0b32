use std::sync::Arc;

use tokio::time::Instant;

use crate::memory::Memory;

/// The probe of a candidate whose time is over. Dropped before its answer is known, the next request is
/// the probe.
#[derive(Debug)]
pub(crate) struct Probe {
    pub(crate) memory: Arc<Memory>,
    pub(crate) candidate: usize,
    pub(crate) model: Arc<str>,
    pub(crate) sent: Instant,
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.memory.give_up(self.candidate, &self.model, self.sent);
    }
}
