use http::Request;
use replay_body::Replay;
use throttle_signal::{KeptRequest, Reading};

use crate::lease::Lease;

/// What is kept of a request to send it again.
pub(crate) struct Again<S, B> {
    pub(crate) service: S,
    pub(crate) request: KeptRequest<B>,
}

/// What belongs to one send.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) reading: Reading,
    pub(crate) lease: Option<Lease>,
}

impl<S, B: Replay> Again<S, B> {
    pub(crate) fn keep(request: &Request<B>, service: S) -> Self {
        Self {
            service,
            request: KeptRequest::of(request),
        }
    }

    /// Whether the request can be sent again now. A body that streams can once it has ended.
    pub(crate) fn can_be_sent(&self) -> bool {
        self.request.body().is_some()
    }
}
