use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// What crossed the wire and when.
#[derive(Debug)]
pub(crate) struct Film {
    began: Instant,
    frames: Mutex<Vec<Frame>>,
}

/// One answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    /// Since the film began.
    pub(crate) at: Duration,
    /// Whether it was a refusal.
    pub(crate) refused: bool,
}

impl Film {
    /// Begins now.
    pub(crate) fn begin() -> Self {
        Self {
            began: Instant::now(),
            frames: Mutex::default(),
        }
    }

    /// Adds an answer that came just now.
    pub(crate) fn take(&self, refused: bool) {
        let at = self.began.elapsed();
        let mut frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        frames.push(Frame { at, refused });
    }

    /// Everything so far, in order.
    pub(crate) fn frames(&self) -> Vec<Frame> {
        let frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        frames.clone()
    }
}
