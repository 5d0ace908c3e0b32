use http::{Request, Response, StatusCode};
use replay_body::{Peek, PeekBody};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Body;
use pin_project_lite::pin_project;

use crate::{Classified, Kind, RequestFacts, Scope, Throttle, Wait};

/// Reads responses for a layer: which profile applies, and what the response means.
///
/// Every layer holds one; the innermost layer does the reading, those above find the verdict.
#[derive(Clone, Debug, Default)]
pub struct Reader {}

impl Reader {
    /// Creates a reader that chooses the profile by the request's host.
    #[must_use]
    pub fn new() -> Self {
        Self {}
    }

    /// Chooses the profile of a request, before it is sent.
    #[must_use]
    pub fn begin<B>(&self, request: &Request<B>) -> Reading {
        let facts = RequestFacts::get(request.extensions()).cloned();
        Reading { facts }
    }
}

/// What is to be read of one response, fixed before its request was sent.
#[derive(Clone, Debug)]
pub struct Reading {
    facts: Option<RequestFacts>,
}

impl Reading {
    /// Reads `response`. One that already carries [`Classified`], and a success, pass at once.
    pub fn read<B>(&self, response: Response<B>) -> Read<B>
    where
        B: Body<Data = Bytes>,
    {
        let (mut parts, body) = response.into_parts();
        let refused = parts.status == StatusCode::TOO_MANY_REQUESTS
            || parts.status == StatusCode::SERVICE_UNAVAILABLE;
        if !refused || parts.extensions.get::<Classified>().is_some() {
            if parts.extensions.get::<Classified>().is_none() {
                parts.extensions.insert(Classified(None));
            }
            return Read {
                facts: self.facts.clone(),
                state: State::Passed {
                    response: Some(Response::from_parts(parts, PeekBody::new(body))),
                },
            };
        }
        Read {
            facts: self.facts.clone(),
            state: State::Peeking {
                parts: Some(parts),
                peek: Peek::new(body, 64 * 1024),
            },
        }
    }
}

pin_project! {
    /// Future of [`Reading::read`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the response.
    #[must_use = "futures do nothing unless polled"]
    pub struct Read<B>
    where
        B: Body, // for `B::Error`
    {
        facts: Option<RequestFacts>,
        #[pin]
        state: State<B>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<B>
    where
        B: Body,
    {
        // Nothing to read.
        Passed { response: Option<Response<PeekBody<B>>> },
        // The head of an error body is arriving.
        Peeking { parts: Option<http::response::Parts>, #[pin] peek: Peek<B> },
    }
}

impl<B: Body<Data = Bytes>> Future for Read<B> {
    type Output = Response<PeekBody<B>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match this.state.project() {
            StateProj::Passed { response } => Poll::Ready(response.take().unwrap_or_default()),
            StateProj::Peeking { parts, peek } => {
                let peeked = ready!(peek.poll(cx));
                let mut response = Response::new(PeekBody::empty());
                if let Some(parts) = parts.take() {
                    let mut throttle = Throttle::new(Kind::RequestRate)
                        .with_scope(Scope::Model)
                        .with_wait(Wait::Unknown);
                    if let Some(facts) = this.facts.as_ref() {
                        throttle = throttle
                            .with_account(facts.account().cloned())
                            .with_key(facts.key().cloned())
                            .with_model(facts.model().cloned());
                    }
                    response = Response::from_parts(parts, peeked.into_body());
                    response.extensions_mut().insert(Classified(Some(throttle)));
                }
                Poll::Ready(response)
            }
        }
    }
}

impl<B: Body> std::fmt::Debug for Read<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Read").finish_non_exhaustive()
    }
}
