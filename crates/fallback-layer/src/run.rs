use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderName, RETRY_AFTER};
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body::Body;
use replay_body::{Kept, PeekBody, Replay};
use throttle_signal::{
    Classified, Envelope, Kind, Origin, Reader, RequestFacts, Scope, Throttle, Trail, Wait,
};
use tokio::time::Instant;

use crate::FallbackLayer;
use crate::chain::Chain;
use crate::judge::{Verdict, Why};
use crate::memory::Standing;
use crate::rewrite::rewrite;

const CANDIDATE: HeaderName = HeaderName::from_static("x-fallback-candidate");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-fallback-attempts");
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// One request's way along the chain.
#[derive(Debug)]
pub(crate) struct Run<B, R>
where
    R: Body,
{
    pub(crate) chain: Arc<Chain>,
    pub(crate) reader: Reader,
    envelope: Envelope,
    facts: RequestFacts,
    // The request itself until it is sent, then what is kept of it.
    request: Option<Request<B>>,
    kept: Option<(Parts, Kept<B>)>,
    body: Option<Bytes>,
    first: usize,
    place: usize,
    tried: u32,
    // What the candidates left behind.
    trail: Option<Trail>,
    refusal: Option<(usize, Response<PeekBody<R>>)>,
    known_out: Option<(usize, Option<Throttle>)>,
    earliest: Option<Instant>,
    passes: bool,
    suspects: Vec<usize>,
    longer_than: Option<u64>,
}

/// The candidate being tried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Current {
    pub(crate) index: usize,
    /// Which service it goes through: 0 is the one below the layer.
    pub(crate) service: usize,
    /// Until when it may wait for room; none for the last.
    pub(crate) patience: Option<Instant>,
    /// How long its first byte may take; none for the last.
    pub(crate) first_byte: Option<Duration>,
}

impl Current {
    /// No candidate: a request that goes as it came.
    pub(crate) const fn none() -> Self {
        Self {
            index: usize::MAX,
            service: 0,
            patience: None,
            first_byte: None,
        }
    }
}

/// What comes next.
#[derive(Debug)]
pub(crate) enum Step<B, R>
where
    R: Body,
{
    Send(Current, Request<B>),
    Answer(Response<PeekBody<R>>),
}

impl<B: Replay + From<Bytes>, R: Body<Data = Bytes>> Run<B, R> {
    pub(crate) fn new<T>(
        layer: &FallbackLayer<T>,
        request: Request<B>,
        facts: RequestFacts,
    ) -> Self {
        let chain = Arc::clone(&layer.chain);
        let (kept, body) = if chain.candidates.len() > 1 {
            (
                Some((copy_head(&request), request.body().keep())),
                request.body().bytes(),
            )
        } else {
            (None, request.body().bytes())
        };
        Self {
            first: chain.first(),
            chain,
            reader: layer.reader.clone(),
            envelope: layer.envelope.clone(),
            facts,
            request: Some(request),
            kept,
            body,
            place: 0,
            tried: 0,
            trail: None,
            refusal: None,
            known_out: None,
            earliest: None,
            passes: false,
            suspects: Vec::new(),
            longer_than: None,
        }
    }

    /// Goes on to the next candidate that can take the request.
    pub(crate) fn next(&mut self, now: Instant) -> Step<B, R> {
        let chain = Arc::clone(&self.chain);
        if self.tried == 0 || !self.is_late(now) {
            while self.place < chain.candidates.len() {
                let index = Chain::at(self.first, self.place);
                self.place += 1;
                if self.passes_over(index, now) {
                    continue;
                }
                if let Some(step) = self.send(index, now) {
                    return step;
                }
            }
        }
        if self.tried == 0 && self.known_out.is_none() {
            // No candidate can be applied to it: it goes as it came.
            if let Some(request) = self.request.take() {
                return Step::Send(Current::none(), request);
            }
        }
        Step::Answer(self.all_out(now))
    }

    fn model(&self, index: usize) -> &Arc<str> {
        let candidate = self.chain.candidates[index].model.as_ref();
        candidate
            .or(self.facts.model())
            .unwrap_or(&self.chain.unnamed)
    }

    fn parts_are_for(&self, index: usize) -> bool {
        let candidate = &self.chain.candidates[index];
        if candidate.when.is_none() {
            return true;
        }
        match (&self.kept, &self.request) {
            (Some((parts, _)), _) => candidate.is_for(parts),
            (None, Some(request)) => candidate.is_for(&copy_head(request)),
            (None, None) => true,
        }
    }

    /// Whether the request has no time left to be sent.
    fn is_late(&self, now: Instant) -> bool {
        self.facts.start_by().is_some_and(|at| at <= now)
    }

    fn is_too_short(&self, index: usize) -> bool {
        let window = self.chain.candidates[index].window;
        self.longer_than
            .is_some_and(|longer| window.is_some_and(|window| window <= longer))
    }

    /// Whether a candidate is not for this request, or known to be out.
    fn passes_over(&mut self, index: usize, now: Instant) -> bool {
        if !self.parts_are_for(index) || self.is_too_short(index) {
            return true;
        }
        let patient_until = now + self.chain.candidates[index].patience;
        match self
            .chain
            .memory
            .look(index, self.model(index), patient_until, now)
        {
            Standing::Up => false,
            Standing::Out(until, because) => {
                self.note_wait(until, because.as_ref().is_none_or(Throttle::retry));
                let reason = format!("{} is out", self.chain.candidates[index].name);
                self.trail
                    .get_or_insert_with(Trail::unsent)
                    .step("fallback", reason);
                self.known_out.get_or_insert((index, because));
                true
            }
        }
    }

    /// Makes the request for a candidate; none if it cannot be one for it.
    fn send(&mut self, index: usize, now: Instant) -> Option<Step<B, R>> {
        let chain = Arc::clone(&self.chain);
        let candidate = &chain.candidates[index];
        let (mut parts, body) = match (self.request.take(), &self.kept) {
            (Some(request), _) => {
                let (parts, body) = request.into_parts();
                (parts, Some(body))
            }
            (None, Some((parts, kept))) => (parts.clone(), kept.replay()),
            (None, None) => return None,
        };
        let changed = match (
            rewrite(candidate, &chain.base_path, &mut parts, self.body.as_ref()),
            body,
        ) {
            (Ok(Some(changed)), _) => B::from(changed),
            (Ok(None), Some(body)) => body,
            (Ok(None), None) => return None, // a stream that has flowed
            (Err(_), body) => {
                if self.tried == 0 {
                    self.request = body.map(|body| Request::from_parts(parts, body));
                }
                return None;
            }
        };
        let last = (self.place..chain.candidates.len()).all(|place| {
            let index = Chain::at(self.first, place);
            !self.parts_are_for(index) || self.is_too_short(index)
        });
        let patience = (!last).then(|| now + candidate.patience);
        if let Some(facts) = RequestFacts::get_mut(&mut parts.extensions) {
            if let Some(patience) = patience {
                facts.lower_start_by(patience);
            }
            if !last && chain.triggers.first_event && facts.demand().stream {
                facts.set_hold_first_event(true);
            }
        }
        self.tried += 1;
        let first_byte = candidate.first_byte.filter(|_| !last);
        let current = Current {
            index,
            service: candidate.service,
            patience,
            first_byte,
        };
        Some(Step::Send(current, Request::from_parts(parts, changed)))
    }

    fn note_wait(&mut self, at: Instant, passes: bool) {
        self.earliest = Some(self.earliest.map_or(at, |earliest| earliest.min(at)));
        self.passes |= passes;
    }

    /// Whether the body of a response that is no refusal is worth a look.
    pub(crate) fn looks_into(&self, current: Current, status: StatusCode) -> bool {
        current.index < self.chain.candidates.len() && self.chain.triggers.looks_into(status)
    }

    /// Whether there is a candidate left, or a refusal to come back with.
    pub(crate) fn has_more(&self) -> bool {
        self.place < self.chain.candidates.len() || self.refusal.is_some()
    }

    /// Judges what a candidate answered. Returns what to hand up, if that is the end of it.
    pub(crate) fn judge(
        &mut self,
        current: Current,
        response: Response<PeekBody<R>>,
        head: &[u8],
        now: Instant,
    ) -> Option<Response<PeekBody<R>>> {
        if current.index >= self.chain.candidates.len() {
            return Some(response);
        }
        let triggers = self.chain.triggers;
        let verdict = match Classified::throttle(response.extensions()) {
            Some(throttle) => {
                let attempts = response
                    .extensions()
                    .get::<Trail>()
                    .map_or(1, |trail| trail.attempts);
                let patience = current
                    .patience
                    .map_or(Duration::MAX, |at| at.saturating_duration_since(now));
                triggers.judge(throttle, attempts, patience)
            }
            None => triggers.judge_other(response.status(), head),
        };
        let why = match verdict {
            Verdict::Answer => return Some(self.answer(current, response, now)),
            Verdict::Wait(kind) => {
                self.place = self.chain.candidates.len();
                Why::Refused(kind)
            }
            Verdict::Next(why) => why,
        };
        self.leave(current, why, Some(response), now);
        None
    }

    /// Leaves a candidate that was tried, for this reason, with what it answered.
    pub(crate) fn leave(
        &mut self,
        current: Current,
        why: Why,
        response: Option<Response<PeekBody<R>>>,
        now: Instant,
    ) {
        let Some(candidate) = self.chain.candidates.get(current.index) else {
            return;
        };
        let reason = format!("left {}: {}", candidate.name, why.as_str());
        let window = candidate.window;
        let mut trail = Trail::default();
        if let Some(mut response) = response {
            trail = Trail::take(response.extensions_mut());
            if let Some(throttle) = Classified::throttle(response.extensions()).cloned() {
                self.learn(current.index, &throttle, trail.attempts > 0, now);
            }
            if self.refusal.is_none() {
                // What the response itself tells, without what happened elsewhere.
                let own = Trail {
                    attempts: 0,
                    waited: Duration::ZERO,
                    steps: Vec::new(),
                    ..trail.clone()
                };
                response.extensions_mut().insert(own);
                self.refusal = Some((current.index, response));
            }
        }
        if why.is_suspicious() {
            self.suspects.push(current.index);
        }
        if why == Why::ContextLength {
            self.longer_than = self.longer_than.max(window);
        }
        trail.step("fallback", reason);
        if let Some(earlier) = self.trail.take() {
            trail.absorb(earlier);
        }
        self.trail = Some(trail);
    }

    /// Remembers what a refusal says of a candidate.
    fn learn(&mut self, index: usize, throttle: &Throttle, sent: bool, now: Instant) {
        let known = throttle.wait().known();
        if let Some(wait) = known {
            self.note_wait(
                now + wait.min(Duration::from_secs(365 * 24 * 3600)),
                throttle.retry(),
            );
        } else {
            self.passes |= throttle.retry();
        }
        // What a layer of ours refused it refuses again for nothing; and a request too large for any
        // window says nothing of the next one.
        let of_this_request = throttle.kind().is_rate() && !throttle.retry();
        if sent && !of_this_request && throttle.kind() != Kind::Concurrency {
            let model = self.model(index);
            self.chain
                .memory
                .out(index, model, known, Some(throttle.clone()), now);
        }
    }

    /// Completes an answer of a candidate.
    fn answer(
        &mut self,
        current: Current,
        mut response: Response<PeekBody<R>>,
        now: Instant,
    ) -> Response<PeekBody<R>> {
        if Classified::throttle(response.extensions()).is_none()
            && !response.status().is_server_error()
        {
            self.chain
                .memory
                .up(current.index, self.model(current.index));
            for suspect in std::mem::take(&mut self.suspects) {
                self.chain
                    .memory
                    .out(suspect, self.model(suspect), None, None, now);
            }
        }
        self.sign(current.index, &mut response);
        response
    }

    /// The first candidate's own refusal, with the earliest time anything frees up.
    fn all_out(&mut self, now: Instant) -> Response<PeekBody<R>> {
        let (index, mut response) = match (self.known_out.take(), self.refusal.take()) {
            (Some((out, because)), Some((refused, _))) if self.comes_before(out, refused) => {
                self.own(out, because, now)
            }
            (_, Some(refusal)) => refusal,
            (Some((out, because)), None) => self.own(out, because, now),
            (None, None) => self.own(self.first, None, now),
        };
        if let (Some(earliest), Some(throttle)) = (
            self.earliest,
            Classified::throttle_mut(response.extensions_mut()),
        ) {
            let wait = earliest.saturating_duration_since(now);
            let sooner = throttle.wait().known().is_none_or(|known| wait < known);
            if sooner || (self.passes && !throttle.retry()) {
                *throttle = throttle
                    .clone()
                    .with_wait(Wait::Stated(wait))
                    .with_retry(self.passes);
                let millis = u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
                let headers = response.headers_mut();
                headers.insert(RETRY_AFTER, millis.div_ceil(1000).into());
                headers.insert(RETRY_AFTER_MS, millis.into());
            }
        }
        self.sign(index, &mut response);
        response
    }

    fn comes_before(&self, a: usize, b: usize) -> bool {
        let places = 0..self.chain.candidates.len();
        places
            .map(|place| Chain::at(self.first, place))
            .find(|index| *index == a || *index == b)
            == Some(a)
    }

    /// An answer without a request.
    fn own(
        &self,
        index: usize,
        because: Option<Throttle>,
        now: Instant,
    ) -> (usize, Response<PeekBody<R>>) {
        let wait = self.earliest.map_or(Wait::Unknown, |at| {
            Wait::Stated(at.saturating_duration_since(now))
        });
        let throttle =
            because.unwrap_or_else(|| Throttle::new(Kind::Overloaded).with_scope(Scope::Server));
        let throttle = throttle
            .with_wait(wait)
            .with_retry(self.passes)
            .with_origin(Origin::Chain)
            .with_paced(false)
            .with_model(Some(Arc::clone(self.model(index))).filter(|model| !model.is_empty()))
            .with_because("fallback: every candidate is out");
        let headers = match (&self.kept, &self.request) {
            (Some((parts, _)), _) => &parts.headers,
            (None, Some(request)) => request.headers(),
            (None, None) => &http::HeaderMap::new(),
        };
        (index, self.envelope.refuse(throttle, headers))
    }

    /// Says who answered and what happened before.
    fn sign(&mut self, index: usize, response: &mut Response<PeekBody<R>>) {
        let Some(candidate) = self.chain.candidates.get(index) else {
            return;
        };
        if let Some(name) = &candidate.header {
            response.headers_mut().insert(CANDIDATE, name.clone());
        }
        response.headers_mut().insert(ATTEMPTS, self.tried.into());
        let trail = Trail::of(response.extensions_mut());
        trail.candidate = Some(Arc::clone(&candidate.name));
        trail.candidates_tried = self.tried;
        if trail.model.is_none() {
            trail.model = candidate
                .model
                .clone()
                .or_else(|| self.facts.model().cloned());
        }
        if let Some(earlier) = self.trail.take() {
            trail.absorb(earlier);
        }
    }
}

fn copy_head<B>(request: &Request<B>) -> Parts {
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method.clone_from(request.method());
    parts.uri.clone_from(request.uri());
    parts.version = request.version();
    parts.headers.clone_from(request.headers());
    parts.extensions.clone_from(request.extensions());
    parts
}
