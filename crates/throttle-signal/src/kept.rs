use std::fmt;

use bytes::Bytes;
use http::header::HOST;
use http::{Extensions, HeaderMap, Request, Uri};
use replay_body::{Kept, KeptHead, Replay};
use tokio::time::Instant;

use crate::RequestFacts;
use crate::host::Host;

/// What a layer keeps of a request to send it again: [head](KeptHead), [body](Kept) and what travels with
/// them.
///
/// Keeping costs about a third of cloning the request, and it is kept for every request that is sent.
///
/// # Example
///
/// ```
/// use bytes::Bytes;
/// use http::Request;
/// use http_body_util::Full;
/// use throttle_signal::KeptRequest;
///
/// let request = Request::post("/v1").body(Full::new(Bytes::from("{}"))).unwrap();
/// let kept = KeptRequest::of(&request);
/// drop(request); // sent, and refused
/// assert!(kept.replay().is_some());
/// ```
pub struct KeptRequest<B> {
    head: KeptHead,
    along: Along,
    body: Kept<B>,
}

/// The extensions of a request.
enum Along {
    /// The facts at most, as of nearly all requests. A table of one costs three allocations.
    Facts(Option<RequestFacts>),
    All(Box<Extensions>),
}

impl<B: Replay> KeptRequest<B> {
    /// Keeps a copy of a request that is about to be sent.
    pub fn of(request: &Request<B>) -> Self {
        let extensions = request.extensions();
        let facts = RequestFacts::get(extensions);
        let along = if extensions.len() == usize::from(facts.is_some()) {
            Along::Facts(facts.cloned())
        } else {
            Along::All(Box::new(extensions.clone()))
        };
        Self {
            head: KeptHead::of(request),
            along,
            body: request.body().keep(),
        }
    }

    /// The body from its first byte, if it can be sent again now: one that streams can once it has ended.
    #[must_use]
    pub fn body(&self) -> Option<B> {
        self.body.replay()
    }

    /// The data of the whole body, if it is at hand.
    #[must_use]
    pub fn bytes(&self) -> Option<Bytes> {
        self.body()?.bytes()
    }

    /// The request again, if it can be sent again now.
    #[must_use]
    pub fn replay(&self) -> Option<Request<B>> {
        self.body().map(|body| self.request(body))
    }

    /// The facts it carries; gathered now, if it carries none, for all further sends. `arrived` is when
    /// it came.
    pub fn facts(&mut self, arrived: Instant) -> RequestFacts {
        if let Some(facts) = self.known() {
            return facts.clone();
        }
        let body = self.bytes().unwrap_or_default();
        let headers = self.head.headers();
        match &mut self.along {
            Along::Facts(none) => {
                let facts = RequestFacts::gather(&headers, &Extensions::new(), body, arrived);
                none.insert(facts).clone()
            }
            Along::All(extensions) => {
                let facts = RequestFacts::gather(&headers, extensions, body, arrived);
                extensions.insert(facts.clone());
                facts
            }
        }
    }
}

impl<B> KeptRequest<B> {
    /// Where it goes.
    #[must_use]
    pub const fn uri(&self) -> &Uri {
        self.head.uri()
    }

    /// Its headers, made anew.
    #[must_use]
    pub fn headers(&self) -> HeaderMap {
        self.head.headers()
    }

    /// The first value of a header, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.head.header(name)
    }

    /// The facts it came with.
    pub(crate) fn known(&self) -> Option<&RequestFacts> {
        match &self.along {
            Along::Facts(facts) => facts.as_ref(),
            Along::All(extensions) => RequestFacts::get(extensions),
        }
    }

    /// Whom it went to.
    pub(crate) fn host(&self) -> Host<'_> {
        match self.uri().authority() {
            Some(authority) => Host::Authority(authority),
            None => self
                .header(HOST.as_str())
                .map_or(Host::Unknown, Host::of_header),
        }
    }

    /// The request again, with this body.
    pub fn request<T>(&self, body: T) -> Request<T> {
        let mut request = self.head.request(body);
        match &self.along {
            Along::Facts(None) => {}
            Along::Facts(Some(facts)) => {
                request.extensions_mut().insert(facts.clone());
            }
            Along::All(extensions) => request.extensions_mut().clone_from(extensions),
        }
        request
    }
}

impl<B> fmt::Debug for KeptRequest<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptRequest")
            .field("head", &self.head)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    #[derive(Clone, Debug, Eq, PartialEq)]
    struct Mark(u8);

    fn request() -> Request<Full<Bytes>> {
        Request::post("https://a.example/v1")
            .header("x-tenant", "t")
            .body(Full::from(r#"{"model":"m"}"#))
            .unwrap()
    }

    #[test]
    fn what_travels_with_it_comes_back() {
        let now = Instant::now();
        for (marked, known) in [(false, false), (false, true), (true, false), (true, true)] {
            let mut request = request();
            if marked {
                request.extensions_mut().insert(Mark(7));
            }
            if known {
                RequestFacts::ensure(&mut request, now);
            }
            let kept = KeptRequest::of(&request);
            let again = kept.replay().unwrap();
            assert_eq!(again.extensions().len(), request.extensions().len());
            assert_eq!(again.extensions().get(), marked.then_some(&Mark(7)));
            assert_eq!(RequestFacts::get(again.extensions()).is_some(), known);
            assert_eq!(again.headers(), request.headers());
            assert_eq!(again.body().bytes(), request.body().bytes());
        }
    }

    #[test]
    fn facts_are_gathered_once_and_go_with_every_further_send() {
        let arrived = Instant::now();
        for marked in [false, true] {
            let mut request = request();
            if marked {
                request.extensions_mut().insert(Mark(7));
            }
            let mut kept = KeptRequest::of(&request);
            assert!(RequestFacts::get(kept.replay().unwrap().extensions()).is_none());
            let facts = kept.facts(arrived);
            assert_eq!(facts.model().map(AsRef::as_ref), Some("m"));
            assert_eq!(kept.facts(Instant::now()).arrived(), arrived);
            let again = kept.replay().unwrap();
            assert!(RequestFacts::get(again.extensions()).is_some());
        }
    }
}
