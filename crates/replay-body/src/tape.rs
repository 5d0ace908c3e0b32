use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::HeaderMap;

use crate::gather::Gather;
use crate::whole::Whole;

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
