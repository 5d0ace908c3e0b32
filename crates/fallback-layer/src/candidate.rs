use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use serde_json::value::RawValue;

use crate::NotJson;
use crate::splice::Edits;

/// One way to answer a request: another model, another endpoint, or both.
///
/// What is not set is left as the request has it. A candidate that cannot be applied to a request,
/// such as another model where the body names none, is passed over.
///
/// # Example
///
/// ```
/// use std::time::Duration;
///
/// use fallback_layer::Candidate;
///
/// let own = Candidate::model("qwen3-max").patience(Duration::from_secs(2));
/// let other = Candidate::model("gpt-5-mini")
///     .base_url(http::Uri::from_static("https://api.openai.com/v1"))
///     .without("enable_search");
/// # drop((own, other));
/// ```
#[derive(Clone)]
#[must_use]
pub struct Candidate {
    pub(crate) name: Arc<str>,
    pub(crate) header: Option<HeaderValue>,
    pub(crate) model: Option<Arc<str>>,
    pub(crate) edits: Edits,
    pub(crate) base_url: Option<Uri>,
    pub(crate) headers: HeaderMap,
    pub(crate) query: Vec<(Box<str>, Box<str>)>,
    pub(crate) patience: Duration,
    pub(crate) first_byte: Option<Duration>,
    pub(crate) stall: Option<Duration>,
    pub(crate) window: Option<u64>,
    pub(crate) share: u32,
    pub(crate) when: Option<Arc<Condition>>,
    // Which service it goes through: 0 is the one below the layer.
    pub(crate) service: usize,
}

/// As far away as anything is put: clocks end somewhere, and a server may state any number.
pub(crate) const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// What a request may take from here to where it is sent, with nobody in its way.
const MOMENT: Duration = Duration::from_millis(10);

type Condition = dyn Fn(&Parts) -> bool + Send + Sync;

impl Candidate {
    /// How long a candidate waits for room unless told otherwise: 2 s. Less than a person waits for
    /// an answer, more than a per-second limit takes to pass.
    pub const PATIENCE: Duration = Duration::from_secs(2);

    /// Creates a candidate that answers with this model, and is named after it.
    ///
    /// The model is put into the top level of a JSON body, every other byte unchanged, and into a
    /// path with `models/NAME`, as Gemini's have it.
    pub fn model(model: impl Into<Arc<str>>) -> Self {
        let model = model.into();
        let mut candidate = Self::named(Arc::clone(&model));
        candidate.edits.model = Some(model.to_string());
        candidate.model = Some(model);
        candidate
    }

    /// Creates a candidate that sends requests as they are, such as to another
    /// [base URL](Self::base_url) or through another service.
    pub fn named(name: impl Into<Arc<str>>) -> Self {
        let name = name.into();
        Self {
            header: HeaderValue::from_str(&name).ok(),
            name,
            model: None,
            edits: Edits::default(),
            base_url: None,
            headers: HeaderMap::new(),
            query: Vec::new(),
            patience: Self::PATIENCE,
            first_byte: None,
            stall: None,
            window: None,
            share: 0,
            when: None,
            service: 0,
        }
    }

    /// Sets its name, in the trail and in `x-fallback-candidate`.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = name.into();
        self.header = HeaderValue::from_str(&self.name).ok();
        self
    }

    /// Sets how long a request may wait for room here before the next candidate is tried.
    /// [`PATIENCE`](Self::PATIENCE) if not set. The last candidate waits as long as the request
    /// itself may.
    ///
    /// It bounds the wait for room, never the time an answer takes. More than a year counts as one, and
    /// less than 10 ms as 10 ms: with none at all, the time between two layers would be too long.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience.clamp(MOMENT, YEAR);
        self
    }

    /// Sets where the request goes: scheme, host and the beginning of its path.
    ///
    /// The path of the request follows that of the URL, less the layer's
    /// [`base_path`](crate::FallbackLayer::base_path).
    pub fn base_url(mut self, base_url: Uri) -> Self {
        self.base_url = Some(base_url);
        self
    }

    /// Sets a header, replacing the request's own.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Adds a query parameter, as it is to stand in the URL.
    pub fn query(mut self, name: impl Into<Box<str>>, value: impl Into<Box<str>>) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    /// Removes a parameter from the top level of the body, one this candidate does not know.
    pub fn without(mut self, parameter: impl Into<Box<str>>) -> Self {
        self.edits.without.push(parameter.into());
        self
    }

    /// Adds a parameter to the top level of the body where it is missing.
    ///
    /// # Errors
    ///
    /// `value` is not JSON.
    pub fn default_parameter(
        mut self,
        parameter: impl Into<Box<str>>,
        value: &str,
    ) -> Result<Self, NotJson> {
        let value: &RawValue = serde_json::from_str(value).map_err(NotJson)?;
        self.edits
            .defaults
            .push((parameter.into(), value.get().into()));
        Ok(self)
    }

    /// Sets how long to wait for the head of a response, and for the first event of a stream, before
    /// the next candidate is tried. Without it, the default, a head is waited for as long as it takes,
    /// and a stream is held to its first event for a minute at most, then handed on as it is.
    ///
    /// Comments that keep a connection alive, and events that only announce an answer, are no first
    /// event: a stream that stalls behind them is left, too.
    ///
    /// An answer that is not streamed has its head when all of it is generated: mind long ones. The
    /// last candidate is waited for.
    pub fn first_byte(mut self, within: Duration) -> Self {
        self.first_byte = Some(within);
        self
    }

    /// Sets for how long a stream may be silent after it has begun, before it is given up. Without it,
    /// the default, for ever.
    ///
    /// No other candidate can go on where it stopped, so it ends with an event `error`, in the words of
    /// OpenAI's errors (code `stream_stalled`), and without the end that clients wait for: they fail
    /// rather than hang. Anything that comes, comments too, is a sign of life. It holds for all
    /// candidates, the last as well, and for streams of events only; one with a `Content-Encoding` is
    /// left alone, since no event could be added to it.
    pub fn stall(mut self, within: Duration) -> Self {
        self.stall = Some(within);
        self
    }

    /// Sets the length of its context in tokens, so that a request too long for one candidate goes to
    /// a longer one only.
    pub fn context(mut self, tokens: u64) -> Self {
        self.window = Some(tokens);
        self
    }

    /// Lets it answer a share of the requests first, in proportion to the shares of the others. When
    /// no candidate has a share, which is the default, all requests go to the first.
    pub fn share(mut self, share: u32) -> Self {
        self.share = share;
        self
    }

    /// Uses it only for requests that meet a condition. Their
    /// [`RequestFacts`](throttle_signal::RequestFacts) are among the extensions.
    pub fn when(mut self, condition: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> Self {
        self.when = Some(Arc::new(condition));
        self
    }

    pub(crate) fn is_for(&self, parts: &Parts) -> bool {
        self.when.as_ref().is_none_or(|condition| condition(parts))
    }
}

impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers may carry keys.
        f.debug_struct("Candidate")
            .field("name", &self.name)
            .field("model", &self.model)
            .field("base_url", &self.base_url)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}
