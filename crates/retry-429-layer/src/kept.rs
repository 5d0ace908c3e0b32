use http::Request;
use replay_body::Replay;
use throttle_signal::{KeptRequest, RequestFacts};
use tokio::time::Instant;

/// The one copy of a request that further attempts are made from, and when the first began.
#[derive(Debug)]
pub(crate) struct Kept<B> {
    request: KeptRequest<B>,
    started: Instant,
}

impl<B: Replay> Kept<B> {
    /// Keeps a copy of a request that is about to be sent.
    ///
    /// The request goes on without facts if it came without: whoever needs them below gathers them,
    /// and most requests are answered.
    pub(crate) fn of(request: &Request<B>, started: Instant) -> Self {
        Self {
            request: KeptRequest::of(request),
            started,
        }
    }

    /// When the first attempt began.
    pub(crate) const fn started(&self) -> Instant {
        self.started
    }

    /// The body from its first byte, if it can be sent again.
    pub(crate) fn body(&self) -> Option<B> {
        self.request.body()
    }

    /// What is known of the request, gathered now for all further attempts, with the time of arrival
    /// of the first: by that a limiter below gives a request its old place back.
    pub(crate) fn facts(&mut self) -> RequestFacts {
        self.request.facts(self.started)
    }

    /// Whom it goes to.
    pub(crate) fn host(&self) -> Option<&str> {
        self.request.uri().host()
    }

    /// How many retries a client above says it has made of this request, as the SDKs of `OpenAI` and
    /// Anthropic do.
    pub(crate) fn made_above(&self) -> u32 {
        let headers = self.request.headers();
        let count = headers.get("x-stainless-retry-count");
        count
            .and_then(|count| count.to_str().ok()?.trim().parse().ok())
            .unwrap_or(0)
    }

    /// The request again, with this body.
    pub(crate) fn request(&self, body: B) -> Request<B> {
        self.request.request(body)
    }
}
