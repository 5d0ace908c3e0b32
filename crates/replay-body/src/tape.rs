use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::HeaderMap;

use crate::Replay;
use crate::gather::Gather;

/// A body at rest: all of its data and its trailers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Whole {
    pub(crate) data: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
}

/// What has been recorded of a body that flows elsewhere.
#[derive(Clone, Debug)]
pub(crate) struct Tape {
    recording: Arc<Mutex<Recording>>,
}

#[derive(Debug)]
enum Recording {
    // The body flows and has so far fitted.
    Running { gather: Gather, room: usize },
    // It has ended.
    Whole(Whole),
    // It was longer than the cap, or failed. What there was of it is freed.
    Torn,
}

impl Tape {
    pub(crate) fn new(cap: usize) -> Self {
        let running = Recording::Running {
            gather: Gather::default(),
            room: cap,
        };
        Self {
            recording: Arc::new(Mutex::new(running)),
        }
    }

    /// Records data that flows by.
    pub(crate) fn data(&self, data: &Bytes) {
        let mut recording = self.lock();
        if let Recording::Running { gather, room } = &mut *recording {
            match room.checked_sub(data.len()) {
                Some(left) => {
                    *room = left;
                    gather.push(data.clone(), 0);
                }
                None => *recording = Recording::Torn,
            }
        }
    }

    /// Notes that the body has ended.
    pub(crate) fn end(&self, trailers: Option<HeaderMap>) {
        let mut recording = self.lock();
        if let Recording::Running { gather, .. } = &mut *recording {
            let data = mem::take(gather).into_bytes();
            *recording = Recording::Whole(Whole { data, trailers });
        }
    }

    /// Notes that the body will never be whole.
    pub(crate) fn tear(&self) {
        let mut recording = self.lock();
        if matches!(*recording, Recording::Running { .. }) {
            *recording = Recording::Torn;
        }
    }

    pub(crate) fn whole(&self) -> Option<Whole> {
        match &*self.lock() {
            Recording::Whole(whole) => Some(whole.clone()),
            Recording::Running { .. } | Recording::Torn => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Recording> {
        // Nothing panics while holding it, and every state is valid on its own.
        self.recording
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

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
