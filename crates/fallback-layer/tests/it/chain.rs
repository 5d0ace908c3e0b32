//! A chain of three over an upstream that answers by model, for the other files.

use std::time::Duration;

use fallback_layer::{Candidate, Fallback, FallbackLayer, ResponseBody};
use http::Response;
use test_support::{Seen, Upstream, ok};
use throttle_signal::{Classified, Kind, Throttle, Trail, Wait};
use tower::ServiceExt;

use crate::{Body, model, refused, request};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn layer() -> FallbackLayer {
    FallbackLayer::new([
        Candidate::model("max").patience(2 * SECOND),
        Candidate::model("plus").patience(2 * SECOND),
        Candidate::model("turbo"),
    ])
}

pub(crate) type Refusal = fn() -> Response<Body>;

/// Answers by model; what is not listed is answered well.
pub(crate) fn upstream(refusals: &'static [(&'static str, Refusal)]) -> Upstream {
    Upstream::answering(move |seen: &Seen| {
        let asked = model(seen);
        refusals
            .iter()
            .find(|(model, _)| *model == asked)
            .map_or_else(ok, |(_, refusal)| refusal())
    })
}

pub(crate) type Answered = Response<ResponseBody<Body>>;

pub(crate) async fn send(service: &Fallback<Upstream>) -> Answered {
    service.clone().oneshot(request()).await.unwrap()
}

pub(crate) fn verdict(response: &Answered) -> Throttle {
    Classified::throttle(response.extensions()).unwrap().clone()
}

pub(crate) fn trail(response: &Answered) -> Trail {
    response.extensions().get::<Trail>().unwrap().clone()
}

pub(crate) fn rate(seconds: u32) -> Throttle {
    Throttle::new(Kind::RequestRate).with_wait(Wait::Stated(seconds * SECOND))
}

pub(crate) fn exhausted() -> Response<Body> {
    refused(Throttle::new(Kind::QuotaExhausted))
}
