use std::fmt;

use http::{Extensions, HeaderMap, Method, Request, Uri, Version};
use replay_body::{Kept as KeptBody, Replay};
use throttle_signal::RequestFacts;
use tokio::time::Instant;

/// The one copy of a request that further attempts are made from.
pub(crate) struct Kept<B> {
    // `http`'s `Parts` cannot be made but from a request, and that costs.
    method: Method,
    uri: Uri,
    version: Version,
    headers: HeaderMap,
    extensions: Extensions,
    body: KeptBody<B>,
    started: Instant,
}

impl<B: Replay> Kept<B> {
    /// Keeps a copy of a request that is about to be sent.
    ///
    /// The request goes on without facts if it came without: whoever needs them below gathers them,
    /// and most requests are answered.
    pub(crate) fn of(request: &Request<B>, started: Instant) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            headers: request.headers().clone(),
            extensions: request.extensions().clone(),
            body: request.body().keep(),
            started,
        }
    }

    /// When the first attempt began.
    pub(crate) const fn started(&self) -> Instant {
        self.started
    }

    /// The body from its first byte, if it can be sent again.
    pub(crate) fn body(&self) -> Option<B> {
        self.body.replay()
    }

    /// What is known of the request, gathered now for all further attempts, with the time of arrival
    /// of the first: by that a limiter below gives a request its old place back.
    pub(crate) fn facts(&mut self) -> RequestFacts {
        if let Some(facts) = RequestFacts::get(&self.extensions) {
            return facts.clone();
        }
        let body = self.body().and_then(|body| body.bytes());
        let body = body.unwrap_or_default();
        let facts = RequestFacts::gather(&self.headers, &self.extensions, body, self.started);
        self.extensions.insert(facts.clone());
        facts
    }

    /// Whom it goes to.
    pub(crate) fn host(&self) -> Option<&str> {
        self.uri.host()
    }

    /// How many retries a client above says it has made of this request, as the SDKs of `OpenAI` and
    /// Anthropic do.
    pub(crate) fn made_above(&self) -> u32 {
        let count = self.headers.get("x-stainless-retry-count");
        count
            .and_then(|count| count.to_str().ok()?.trim().parse().ok())
            .unwrap_or(0)
    }

    /// The request again, with this body.
    pub(crate) fn request(&self, body: B) -> Request<B> {
        let mut request = Request::new(body);
        request.method_mut().clone_from(&self.method);
        request.uri_mut().clone_from(&self.uri);
        *request.version_mut() = self.version;
        request.headers_mut().clone_from(&self.headers);
        request.extensions_mut().clone_from(&self.extensions);
        request
    }
}

impl<B> fmt::Debug for Kept<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers carry keys.
        f.debug_struct("Kept")
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}
