use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderValue, Request, Response};
use replay_body::Replay;
use throttle_signal::{Classified, KeptRequest, Reading, RequestFacts, Throttle, Trail};
use tokio::time::Instant;

use crate::herd::{Turn, Used};
use crate::layer::Shared;
use crate::{Attempt, Decision, Policy};

/// What this layer is called in a [`Trail`].
const LAYER: &str = "retry-429";

/// What a retry takes from the budget.
const COST: f64 = 1.0;

/// The attempts at one request so far, and what there is to decide on the next.
pub(crate) struct Attempts<P, B> {
    shared: Arc<Shared<P>>,
    // The one copy of the request that further attempts are made from.
    kept: KeptRequest<B>,
    // When the first began.
    started: Instant,
    // Boxed, since most requests are answered at once and have none of it.
    course: Option<Box<Course<P>>>,
}

/// How it went on after a first attempt that was not simply answered.
struct Course<P> {
    policy: P,
    // How often it was sent by us.
    sends: u32,
    // What happened in the attempts before this one; nothing before the first.
    earlier: Option<Trail>,
    // What the present attempt was paid with.
    used: Option<Used>,
}

/// A further attempt that is to be made.
pub(crate) struct Again<B> {
    pub(crate) body: B,
    // None where whoever is below decides when.
    pub(crate) turn: Option<Turn>,
}

impl<P, B> Attempts<P, B> {
    /// None has ended yet.
    pub(crate) const fn new(
        shared: Arc<Shared<P>>,
        kept: KeptRequest<B>,
        started: Instant,
    ) -> Self {
        Self {
            shared,
            kept,
            started,
            course: None,
        }
    }

    /// How often the request was sent.
    pub(crate) fn sends(&self) -> u32 {
        self.course.as_ref().map_or(1, |course| course.sends)
    }

    /// How to read an answer that is not done with.
    pub(crate) fn reading(&self) -> Reading {
        self.shared.reader.resume(&self.kept)
    }

    /// Whether this is a first attempt that was answered, as most are: there is nothing to do.
    pub(crate) fn is_done<R>(&self, response: &Response<R>) -> bool {
        self.course.is_none()
            && response.status().as_u16() < 400
            && self.shared.reader.passes(&self.kept, response)
            && Classified::throttle(response.extensions()).is_none()
    }

    /// Notes what the next attempt is paid with.
    pub(crate) fn pay(&mut self, used: Option<Used>) {
        if let Some(course) = &mut self.course {
            course.used = used;
        }
    }

    /// The request for the next attempt, with this body.
    pub(crate) fn next(&mut self, body: B) -> Request<B> {
        if let Some(course) = &mut self.course {
            course.sends = course.sends.saturating_add(1);
        }
        self.kept.request(body)
    }
}

impl<P: Clone, B: Replay> Attempts<P, B> {
    /// What follows an error: a further attempt, or nothing.
    pub(crate) fn after_error<E>(&mut self, error: &E) -> Option<Again<B>>
    where
        P: Policy<E>,
    {
        let now = Instant::now();
        let elapsed = now.saturating_duration_since(self.started);
        let number = self.number();
        let attempt = Attempt::failed(number, elapsed, error);
        let decision = self.course().policy.decide(&attempt);
        let again = self.again(decision, None, now);
        report(number, decision, again.as_ref().err().copied(), None);
        let (again, step) = again.ok()?;
        self.gather(Trail::default(), step);
        Some(again)
    }

    /// What follows an answer: a further attempt, which drops it, or the answer to hand up.
    pub(crate) fn after_answer<E, R>(
        &mut self,
        mut response: Response<R>,
    ) -> Result<Again<B>, Response<R>>
    where
        P: Policy<E>,
    {
        let throttle = Classified::throttle(response.extensions());
        if throttle.is_none() && response.status().as_u16() < 400 {
            // What is answered was worth its send.
            let used = self.course.as_mut().and_then(|course| course.used.take());
            if let Some((budget, claim)) = used {
                budget.refund(claim);
            }
            self.finish(&mut response);
            return Err(response);
        }
        let now = Instant::now();
        let elapsed = now.saturating_duration_since(self.started);
        let number = self.number();
        let attempt = Attempt::answered(number, elapsed, response.status(), throttle);
        let decision = self.course().policy.decide(&attempt);
        let again = self.again(decision, throttle, now);
        report(number, decision, again.as_ref().err().copied(), throttle);
        match again {
            Ok((again, step)) => {
                let trail = Trail::take(response.extensions_mut());
                self.gather(trail, step);
                Ok(again)
            }
            Err(why) => {
                if throttle.is_some() {
                    name_model(&mut response, &self.facts());
                    if self.shared.owner {
                        own(&mut response);
                    }
                    let trail = Trail::of(response.extensions_mut());
                    trail.given_up = true;
                    trail.step(LAYER, why);
                }
                self.finish(&mut response);
                Err(response)
            }
        }
    }

    /// What comes of a decision: the attempt and what there is to say of it, or why there is none.
    fn again(
        &mut self,
        decision: Decision,
        throttle: Option<&Throttle>,
        now: Instant,
    ) -> Result<(Again<B>, Step), &'static str> {
        self.course().used = None; // the attempt it paid for was not answered
        let (after, why) = match decision {
            Decision::Retry { after, why } => (after, why),
            Decision::GiveBack { why } => return Err(why),
        };
        let facts = self.facts();
        let start_by = facts.start_by();
        let in_time = |at| start_by.is_none_or(|start_by| at <= start_by);
        let at = now.checked_add(after).ok_or("the wait never ends")?;
        if !in_time(at) {
            return Err("the wait would pass the deadline");
        }
        let body = self.kept.body().ok_or("the body cannot be sent again")?;
        let step = Step { after, why };
        if throttle.is_some_and(Throttle::paced) && after.is_zero() {
            // The limiter below counts it, and holds it.
            return Ok((Again { body, turn: None }, step));
        }

        let claim = self.shared.budget.as_ref().map(|budget| {
            let claim = budget.withdraw(COST, now);
            let due = budget.due(&claim, now);
            (Arc::clone(budget), claim, due)
        });
        let claim = match claim {
            None => None,
            Some((budget, claim, due)) => {
                // After a failure the budget stops, for a refusal it delays: the upstream did no
                // work for it. What it delays beyond the deadline is not begun.
                let room = match throttle {
                    None => due.is_some_and(|due| due <= now),
                    Some(_) => due.is_some_and(in_time),
                };
                if !room {
                    budget.refund(claim);
                    return Err("the budget for retries is used up");
                }
                Some((budget, claim))
            }
        };
        let partition = partition(throttle, &facts, self.kept.uri().host());
        let arrived = facts.arrived();
        let turn = self
            .shared
            .herd
            .enter(partition, arrived, now, at, start_by, claim);
        let turn = Some(turn);
        Ok((Again { body, turn }, step))
    }

    /// Adds the trail of an attempt that is over to those before it.
    fn gather(&mut self, mut trail: Trail, step: Step) {
        trail.waited = trail.waited.saturating_add(step.after);
        let millis = u64::try_from(step.after.as_millis()).unwrap_or(u64::MAX);
        let wait = Duration::from_millis(millis);
        let course = self.course();
        let number = course.sends;
        trail.step(
            LAYER,
            format!("attempt {number} again after {wait:?}: {}", step.why),
        );
        if let Some(earlier) = course.earlier.take() {
            trail.absorb(earlier);
        }
        course.earlier = Some(trail);
    }

    /// Puts what happened before into the trail of the answer that is handed up.
    fn finish<R>(&mut self, response: &mut Response<R>) {
        let earlier = self
            .course
            .as_mut()
            .and_then(|course| course.earlier.take());
        if let Some(earlier) = earlier {
            Trail::of(response.extensions_mut()).absorb(earlier);
        }
    }

    /// Which attempt the present one is, with those that a client above says it has made of this
    /// request, as the SDKs of `OpenAI` and Anthropic do.
    fn number(&self) -> u32 {
        let count = self.kept.header("x-stainless-retry-count");
        let above = count.and_then(|count| std::str::from_utf8(count).ok()?.trim().parse().ok());
        self.sends().saturating_add(above.unwrap_or(0))
    }

    /// What is known of the request, gathered now for all further attempts, with the time of arrival
    /// of the first: by that a limiter below gives a request its old place back.
    ///
    /// The request was sent without facts if it came without: whoever needs them below gathers them,
    /// and most requests are answered.
    fn facts(&mut self) -> RequestFacts {
        self.kept.facts(self.started)
    }

    fn course(&mut self) -> &mut Course<P> {
        let policy = &self.shared.policy;
        self.course.get_or_insert_with(|| {
            Box::new(Course {
                policy: policy.clone(),
                sends: 1,
                earlier: None,
                used: None,
            })
        })
    }
}

/// Tells whoever traces.
fn report(
    number: u32,
    decision: Decision,
    given_back: Option<&'static str>,
    throttle: Option<&Throttle>,
) {
    #[cfg(feature = "tracing")]
    {
        let refusal = throttle.map(tracing::field::display);
        match (decision, given_back) {
            (Decision::Retry { after, why }, None) => {
                tracing::debug!(attempt = number, ?after, why, refusal, "sending again");
            }
            (_, why) if throttle.is_some() => {
                tracing::debug!(attempt = number, why, refusal, "handing a refusal back");
            }
            _ => {}
        }
    }
    #[cfg(not(feature = "tracing"))]
    let _ = (number, decision, given_back, throttle);
}

/// What there is to say of a further attempt.
#[derive(Clone, Copy)]
struct Step {
    after: Duration,
    why: &'static str,
}

/// Those that one limit turned away: by host, account and model.
fn partition(throttle: Option<&Throttle>, facts: &RequestFacts, host: Option<&str>) -> u64 {
    let mut hasher = DefaultHasher::new();
    host.hash(&mut hasher);
    facts.model().hash(&mut hasher);
    throttle.map(Throttle::account).hash(&mut hasher);
    hasher.finish()
}

/// Names the model where the refusal was read by a layer that had not looked at the request.
fn name_model<R>(response: &mut Response<R>, facts: &RequestFacts) {
    if let Some(throttle) = Classified::throttle_mut(response.extensions_mut()) {
        if throttle.model().is_none() {
            *throttle = throttle.clone().with_model(facts.model().cloned());
        }
    }
}

/// Tells clients above not to retry by themselves, and when they may.
fn own<R>(response: &mut Response<R>) {
    let wait = Classified::throttle(response.extensions()).and_then(|it| it.wait().known());
    let headers = response.headers_mut();
    headers.insert("x-should-retry", HeaderValue::from_static("false"));
    if let Some(wait) = wait {
        let millis = u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        headers.insert("retry-after-ms", millis.into());
        headers.insert(RETRY_AFTER, millis.div_ceil(1000).into());
    }
}
