use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderName};
use http::uri::Authority;
use http::{HeaderValue, Response, response};
use http_body::Body;
use replay_body::{PeekBody, Replay};
use throttle_signal::{Classified, Kind, Throttle, Trail, Wait};
use tokio::time::Instant;

use crate::ResponseBody;
use crate::body::is_stream;
use crate::candidate::YEAR;
use crate::judge::{Verdict, Why};
use crate::run::{Current, Run};

const CANDIDATE: HeaderName = HeaderName::from_static("x-fallback-candidate");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-fallback-attempts");

/// What becomes of the answers of candidates.
impl<B: Replay + From<Bytes>, R: Body<Data = Bytes>> Run<B, R> {
    /// Whether the body of a response is worth a look, for what nobody has read in it.
    pub(crate) fn looks_into(&self, current: Current, response: &Response<R>) -> bool {
        current.index < self.chain.candidates.len()
            && self.chain.triggers.looks_into(response.status())
            && Classified::throttle(response.extensions()).is_none()
    }

    /// Reads a response that was looked into, unless somebody below has.
    pub(crate) fn classify(
        &self,
        parts: &mut response::Parts,
        host: Option<&Authority>,
        head: &[u8],
    ) {
        if parts.extensions.get::<Classified>().is_none() {
            let host = host.map_or("", Authority::host);
            let throttle = self
                .reader
                .classify(host, parts.status, &parts.headers, head);
            parts.extensions.insert(Classified(throttle));
        }
    }

    /// Whether there is a candidate left, or a refusal to come back with.
    pub(crate) fn has_more(&self) -> bool {
        !self.is_last() || self.refusal.is_some()
    }

    /// Judges what a candidate answered. Returns what to hand up, if that is the end of it.
    pub(crate) fn judge(
        &mut self,
        current: Current,
        response: Response<PeekBody<R>>,
        head: &[u8],
    ) -> Option<Response<PeekBody<R>>> {
        if current.index >= self.chain.candidates.len() {
            return Some(response);
        }
        let triggers = self.chain.triggers;
        let verdict = match Classified::throttle(response.extensions()) {
            Some(throttle) => {
                let given_up = response.extensions().get().is_some_and(has_given_up);
                let patience = current.patience.map_or(Duration::MAX, |at| {
                    at.saturating_duration_since(Instant::now())
                });
                triggers.judge(throttle, given_up, patience)
            }
            None => triggers.judge_other(response.status(), head),
        };
        let why = match verdict {
            Verdict::Answer => return Some(self.answer(current, response)),
            Verdict::Wait(kind) => {
                self.place = self.chain.candidates.len();
                Why::Refused(kind)
            }
            Verdict::Next(why) => why,
        };
        self.leave(current, why, Some(response), Instant::now());
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
            self.note_wait(now + wait.min(YEAR), throttle.retry());
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
                .out(index, model, throttle.wait(), Some(throttle.clone()), now);
        }
    }

    /// The response as the caller gets it.
    pub(crate) fn hand_up(
        &self,
        current: Current,
        response: Response<PeekBody<R>>,
    ) -> Response<ResponseBody<R>> {
        let candidate = self.chain.candidates.get(current.index);
        let (mut parts, body) = response.into_parts();
        let body = match candidate.and_then(|candidate| candidate.stall) {
            Some(most) if is_stream(&parts) => {
                parts.headers.remove(CONTENT_LENGTH); // there may be an event more
                ResponseBody::impatient(body, most)
            }
            _ => ResponseBody::new(body),
        };
        Response::from_parts(parts, body)
    }

    /// Completes an answer of a candidate.
    fn answer(
        &mut self,
        current: Current,
        mut response: Response<PeekBody<R>>,
    ) -> Response<PeekBody<R>> {
        if Classified::throttle(response.extensions()).is_none()
            && !response.status().is_server_error()
        {
            self.chain
                .memory
                .up(current.index, self.model(current.index));
        }
        // Whoever answers such a request proves that it was not the request.
        if response.status().is_success() {
            for suspect in std::mem::take(&mut self.suspects) {
                self.chain.memory.out(
                    suspect,
                    self.model(suspect),
                    Wait::Unknown,
                    None,
                    Instant::now(),
                );
            }
        }
        self.probes.clear();
        self.sign(current.index, &mut response);
        response
    }

    pub(crate) fn note_wait(&mut self, at: Instant, passes: bool) {
        self.earliest = Some(self.earliest.map_or(at, |earliest| earliest.min(at)));
        self.passes |= passes;
    }

    /// Says who answered and what happened before.
    pub(crate) fn sign(&mut self, index: usize, response: &mut Response<PeekBody<R>>) {
        let Some(candidate) = self.chain.candidates.get(index) else {
            return;
        };
        if let Some(name) = &candidate.header {
            response.headers_mut().insert(CANDIDATE, name.clone());
        }
        let tried = match self.tried {
            1 => HeaderValue::from_static("1"), // the usual one, for nothing
            tried => tried.into(),
        };
        response.headers_mut().insert(ATTEMPTS, tried);
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

/// Whether a layer below has tried to outlast a refusal, by what it left in the trail.
fn has_given_up(trail: &Trail) -> bool {
    trail.given_up || trail.attempts > 1
}
