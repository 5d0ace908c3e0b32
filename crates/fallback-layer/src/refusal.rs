use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use http_body::Body;
use replay_body::{PeekBody, Replay};
use throttle_signal::{Classified, Kind, Origin, Scope, Throttle, Wait, set_retry_after};
use tokio::time::Instant;

use crate::chain::Chain;
use crate::run::Run;

/// What comes back when no candidate answers.
impl<B: Replay + From<Bytes>, R: Body<Data = Bytes>> Run<B, R> {
    /// The first candidate's own refusal, with the earliest time anything frees up.
    pub(crate) fn all_out(&mut self, now: Instant) -> Response<PeekBody<R>> {
        self.probes.clear();
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
                set_retry_after(response.headers_mut(), wait);
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
            (Some(kept), _) => &kept.headers(),
            (None, Some(request)) => request.headers(),
            (None, None) => &http::HeaderMap::new(),
        };
        (index, self.envelope.refuse(throttle, headers))
    }
}
