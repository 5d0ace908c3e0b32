use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use replay_body::{PeekBody, Replay};
use throttle_signal::{Envelope, KeptRequest, Reader, RequestFacts, Throttle, Trail};
use tokio::time::Instant;

use crate::FallbackLayer;
use crate::chain::Chain;
use crate::memory::Standing;
use crate::probe::Probe;
use crate::rewrite::rewrite;
use crate::triggers::Trigger;

/// One request's way along the chain.
#[derive(Debug)]
pub(crate) struct Run<B, R>
where
    R: Body,
{
    pub(crate) chain: Arc<Chain>,
    pub(crate) reader: Reader,
    pub(crate) envelope: Envelope,
    pub(crate) facts: RequestFacts,
    // The time of the call, until the first candidate is chosen.
    called: Option<Instant>,
    // The request itself until it is sent, then what is kept of it.
    pub(crate) request: Option<Request<B>>,
    pub(crate) kept: Option<KeptRequest<B>>,
    // Its head as it came, where candidates ask for it.
    head: Option<Box<Parts>>,
    body: Option<Bytes>,
    pub(crate) first: usize,
    pub(crate) place: usize,
    pub(crate) tried: u32,
    // What the candidates left behind.
    pub(crate) trail: Option<Trail>,
    pub(crate) refusal: Option<(usize, Response<PeekBody<R>>)>,
    pub(crate) known_out: Option<(usize, Option<Throttle>)>,
    pub(crate) earliest: Option<Instant>,
    pub(crate) passes: bool,
    pub(crate) suspects: Vec<usize>,
    // Whom it is the probe of, until it is known what comes of it.
    pub(crate) probes: Vec<Probe>,
    pub(crate) longer_than: Option<u64>,
}

/// The candidate being tried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Current {
    pub(crate) index: usize,
    /// Which service it goes through: 0 is the one below the layer.
    pub(crate) service: usize,
    /// Until when it may wait for room; none for the last.
    pub(crate) patience: Option<Instant>,
    /// Until when its service may take to make itself ready: so long, and no longer than the request may.
    pub(crate) ready_by: Option<Instant>,
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
            ready_by: None,
            first_byte: None,
        }
    }
}

/// For how long a stream is held to its first event, at most, where nothing says when to leave it. One
/// that only keeps the connection alive until then is handed on: so are clients kept from giving up.
const HOLD: Duration = Duration::from_secs(60);

/// Whether to ask a candidate.
enum Look {
    Ask,
    Probe(Probe),
    Over,
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
        now: Instant,
    ) -> Self {
        let chain = Arc::clone(&layer.chain);
        let kept = (chain.candidates.len() > 1).then(|| KeptRequest::of(&request));
        let asks = chain.candidates.iter().any(|it| it.when.is_some());
        let head = asks.then(|| Box::new(copy_head(&request)));
        let body = request.body().bytes();
        Self {
            first: chain.first(),
            chain,
            reader: layer.reader.clone(),
            envelope: layer.envelope.clone(),
            facts,
            called: Some(now),
            request: Some(request),
            kept,
            head,
            body,
            place: 0,
            tried: 0,
            trail: None,
            refusal: None,
            known_out: None,
            earliest: None,
            passes: false,
            suspects: Vec::new(),
            probes: Vec::new(),
            longer_than: None,
        }
    }

    /// Goes on to the next candidate that can take the request.
    pub(crate) fn next(&mut self) -> Step<B, R> {
        let now = self.called.take().unwrap_or_else(Instant::now);
        let chain = Arc::clone(&self.chain);
        if self.tried == 0 || !self.is_late(now) {
            while self.place < chain.candidates.len() {
                let index = Chain::at(self.first, self.place);
                self.place += 1;
                let probe = match self.look(index, now) {
                    Look::Over => continue,
                    Look::Ask => None,
                    Look::Probe(probe) => Some(probe),
                };
                if let Some(step) = self.send(index, now) {
                    self.probes.extend(probe);
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

    pub(crate) fn model(&self, index: usize) -> &Arc<str> {
        let candidate = self.chain.candidates[index].model.as_ref();
        candidate
            .or(self.facts.model())
            .unwrap_or(&self.chain.unnamed)
    }

    fn parts_are_for(&self, index: usize) -> bool {
        let candidate = &self.chain.candidates[index];
        self.head
            .as_deref()
            .is_none_or(|head| candidate.is_for(head))
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

    /// Whether no candidate that follows is one for this request.
    pub(crate) fn is_last(&self) -> bool {
        (self.place..self.chain.candidates.len()).all(|place| {
            let index = Chain::at(self.first, place);
            !self.parts_are_for(index) || self.is_too_short(index)
        })
    }

    /// Passes over a candidate that is not for this request, or known to be out.
    fn look(&mut self, index: usize, now: Instant) -> Look {
        if !self.parts_are_for(index) || self.is_too_short(index) {
            return Look::Over;
        }
        let patient_until = now + self.chain.candidates[index].patience;
        match self
            .chain
            .memory
            .look(index, self.model(index), patient_until, now)
        {
            Standing::Up => Look::Ask,
            Standing::Probe => Look::Probe(Probe {
                memory: Arc::clone(&self.chain.memory),
                candidate: index,
                model: Arc::clone(self.model(index)),
                sent: now,
            }),
            Standing::Out(until, because) => {
                self.note_wait(until, because.as_ref().is_none_or(Throttle::retry));
                let reason = format!("{} is out", self.chain.candidates[index].name);
                self.trail
                    .get_or_insert_with(Trail::unsent)
                    .step("fallback", reason);
                self.known_out.get_or_insert((index, because));
                Look::Over
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
            (None, Some(kept)) => {
                let (parts, ()) = kept.request(()).into_parts();
                (parts, kept.body())
            }
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
        let last = self.is_last();
        let patience = (!last).then(|| now + candidate.patience);
        if let Some(facts) = RequestFacts::get_mut(&mut parts.extensions) {
            if let Some(patience) = patience {
                facts.lower_start_by(patience);
            }
            if !last && chain.triggers.has(Trigger::FirstEvent) && facts.demand().stream {
                let first_byte = candidate.first_byte.unwrap_or_default();
                facts.set_hold_first_event(Some(first_byte.saturating_add(HOLD)));
            }
        }
        self.tried += 1;
        let first_byte = candidate.first_byte.filter(|_| !last);
        let current = Current {
            index,
            service: candidate.service,
            patience,
            ready_by: [patience, self.facts.start_by()]
                .into_iter()
                .flatten()
                .min(),
            first_byte,
        };
        Some(Step::Send(current, Request::from_parts(parts, changed)))
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
