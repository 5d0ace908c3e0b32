use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderName, Request};
use http_body_util::Full;
use tower::Service;
use tower::util::Oneshot;

use crate::line::Stack;
use crate::setup::Setup;
use crate::upstream::Broken;

/// Names the provider of a candidate, between the chain and [`Dispatch`]. It never leaves the relay.
pub(crate) const PLACE: HeaderName = HeaderName::from_static("x-relay-place");

/// Sends each request through the stack of its provider.
#[derive(Clone, Debug)]
pub(crate) struct Dispatch {
    setup: Arc<Setup>,
    stacks: Arc<[Stack]>,
}

impl Dispatch {
    pub(crate) const fn new(setup: Arc<Setup>, stacks: Arc<[Stack]>) -> Self {
        Self { setup, stacks }
    }

    /// Sends to the provider at this place.
    pub(crate) fn send(&self, place: usize, mut request: Request<Full<Bytes>>) -> Sent {
        let provider = &self.setup.config.providers[place];
        if let Some(url) = provider.base.url(request.uri()) {
            *request.uri_mut() = url;
        }
        Oneshot::new(self.stacks[place].clone(), request)
    }
}

/// A request in a provider's stack.
pub(crate) type Sent = Oneshot<Stack, Request<Full<Bytes>>>;

impl Service<Request<Full<Bytes>>> for Dispatch {
    type Response = <Stack as Service<Request<Full<Bytes>>>>::Response;
    type Error = Broken;
    type Future = Sent;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        // Which stack it will be is not known yet; `Oneshot` waits for that one.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Full<Bytes>>) -> Sent {
        let place = request.headers_mut().remove(PLACE);
        let place = place.and_then(|place| place.to_str().ok()?.parse().ok());
        let place = place.filter(|place| *place < self.stacks.len());
        self.send(place.unwrap_or(0), request)
    }
}
