use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use http::{HeaderMap, Request, Response, StatusCode};

use crate::host::KeptHost;
use crate::judge::{Case, judge};
use crate::look::{Look, hides_errors, look};
use crate::profiles;
use crate::reading::{Reading, stranger};
use crate::suspicion::Suspicion;
use crate::{KeptRequest, Profile, RequestFacts, Throttle};

/// Reads responses for a layer: which profile applies, and what the response means.
///
/// Every layer holds one; the innermost layer does the reading, those above find the verdict. So in
/// a stack it is the innermost layer's reader that needs to be set up.
///
/// # Example
///
/// ```
/// use http::{HeaderMap, StatusCode};
/// use throttle_signal::{Kind, Reader};
///
/// let body = br#"{"error":{"message":"You exceeded your current quota","code":"insufficient_quota"}}"#;
/// let read = |host| Reader::new().classify(host, StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new(), body);
///
/// // The same bytes, by host.
/// assert_eq!(read("dashscope.aliyuncs.com").map(|it| it.kind()), Some(Kind::TokenRate));
/// assert_eq!(read("api.openai.com").map(|it| it.kind()), Some(Kind::QuotaExhausted));
/// ```
#[derive(Clone)]
pub struct Reader(Arc<Settings>);

// Behind one `Arc`, since layers clone it for each request.
#[derive(Clone)]
struct Settings {
    everywhere: Option<Profile>,
    added: Vec<Profile>,
    clock: Option<fn() -> SystemTime>,
    hold_trailers: bool,
    suspicion: Arc<Suspicion>,
}

impl Reader {
    /// Creates a reader that chooses the profile by the request's host, and takes the careful
    /// generic one for strangers.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Settings {
            everywhere: None,
            added: Vec::new(),
            clock: Some(time_of_day),
            hold_trailers: false,
            suspicion: Arc::default(),
        }))
    }

    /// Takes this profile for every host, for where the host does not tell: loopback, a relay, a
    /// channel.
    #[must_use]
    pub fn profile(mut self, profile: Profile) -> Self {
        self.edit().everywhere = Some(profile);
        self
    }

    /// Takes this profile for its hosts, before those added earlier and the built-in ones.
    #[must_use]
    pub fn also(mut self, profile: Profile) -> Self {
        self.edit().added.insert(0, profile);
        self
    }

    /// Measures dates by this clock where a response has no `Date` of its own. By default it is the
    /// system's.
    #[must_use]
    pub fn clock(mut self, clock: fn() -> SystemTime) -> Self {
        self.edit().clock = Some(clock);
        self
    }

    /// Passes over dates where a response has no `Date` of its own.
    #[must_use]
    pub fn without_clock(mut self) -> Self {
        self.edit().clock = None;
        self
    }

    /// Holds gRPC answers back until their trailers, if they come within 64 KiB, so that a refusal
    /// sent after the headers is read, too. For unary calls: a stream is held to its 64 KiB or end.
    #[must_use]
    pub fn hold_trailers(mut self, hold: bool) -> Self {
        self.edit().hold_trailers = hold;
        self
    }

    /// Chooses the profile of a request, before it is sent.
    #[must_use]
    pub fn begin<B>(&self, request: &Request<B>) -> Reading {
        let facts = RequestFacts::get(request.extensions()).cloned();
        Reading::new(self.clone(), KeptHost::of(request), facts)
    }

    /// The same for a layer that has the request's facts at hand: they need not be looked for. They and
    /// the reader are moved rather than cloned, since who sends after a wait has a reader of its own.
    #[must_use]
    pub fn begin_with<B>(self, request: &Request<B>, facts: RequestFacts) -> Reading {
        Reading::new(self, KeptHost::of(request), Some(facts))
    }

    /// The same for a request that was sent and [kept](KeptRequest), once there is a response that has
    /// to be read: see [`passes`](Self::passes).
    #[must_use]
    pub fn resume<B>(&self, kept: &KeptRequest<B>) -> Reading {
        Reading::new(self.clone(), kept.host().into(), kept.known().cloned())
    }

    /// Whether the response to a kept request needs no reading: it was read below, or is a success that
    /// [`Reading::read`] would hand on as it came.
    ///
    /// Nearly every response passes, and asking costs less than reading one that does.
    #[must_use]
    #[inline]
    pub fn passes<B, R>(&self, kept: &KeptRequest<B>, response: &Response<R>) -> bool {
        let hides_errors = || hides_errors(self, kept.host());
        let passes = look(self, response, || kept.known(), hides_errors) == Look::Pass;
        if passes && response.status().is_success() {
            self.suspicion()
                .clear(|| stranger(kept.host(), kept.known()));
        }
        passes
    }

    /// Names what a response is, from its parts. `None` for what is no refusal.
    ///
    /// `body` is as much of it as there is; of a stream, the first event that is an error counts. A
    /// success is a refusal only if its body is an error.
    #[must_use]
    pub fn classify(
        &self,
        host: &str,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Option<Throttle> {
        let case = Case {
            status,
            headers,
            trailers: None,
            body,
            model: None,
            clock: self.0.clock,
        };
        judge(self.profile_for(host), case).map(|(throttle, _)| throttle)
    }

    pub(crate) fn judge(&self, host: &str, case: Case<'_>) -> Option<(Throttle, bool)> {
        judge(
            self.profile_for(host),
            Case {
                clock: self.0.clock,
                ..case
            },
        )
    }

    pub(crate) fn profile_for(&self, host: &str) -> &Profile {
        if let Some(profile) = &self.0.everywhere {
            return profile;
        }
        let mut added = self.0.added.iter();
        added
            .find(|profile| profile.is_for(host))
            .unwrap_or_else(|| profiles::for_host(host))
    }

    /// Whether the profile of a host that ends so has to be asked whether errors come with successes.
    pub(crate) fn may_hide_errors(&self, tail: &str) -> bool {
        let only_built_in = self.0.everywhere.is_none() && self.0.added.is_empty();
        !only_built_in || profiles::may_hide_errors(tail)
    }

    pub(crate) fn suspicion(&self) -> &Suspicion {
        &self.0.suspicion
    }

    pub(crate) fn holds_trailers(&self) -> bool {
        self.0.hold_trailers
    }

    fn edit(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.0)
    }
}

impl Default for Reader {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("everywhere", &self.0.everywhere)
            .field("added", &self.0.added)
            .field("clock", &self.0.clock.is_some())
            .field("hold_trailers", &self.0.hold_trailers)
            .finish_non_exhaustive()
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "the one place where the time of day comes in"
)]
fn time_of_day() -> SystemTime {
    SystemTime::now()
}
