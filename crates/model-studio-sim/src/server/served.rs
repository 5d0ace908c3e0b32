use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};

use super::body::{Body, Step};
use super::call::Call;
use super::charge::Charge;
use super::envelope::{Failure, json};
use super::fault::Fault;

/// Bytes of a whole answer that come at once when it trickles.
const PIECE: usize = 64;

/// Between the last bytes and a reset, so that the bytes are seen.
const BEFORE_RESET: Duration = Duration::from_millis(10);

/// A request that gets an answer, be it a bad one.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) call: Call,
    charge: Charge,
    fault: Option<Fault>,
}

impl Served {
    pub(super) const fn new(call: Call, charge: Charge, fault: Option<Fault>) -> Self {
        Self {
            call,
            charge,
            fault,
        }
    }

    /// Answers with JSON that is worth so many tokens.
    pub(super) fn whole(self, body: Bytes, tokens: u64) -> Response<Body> {
        let Self {
            call,
            mut charge,
            fault,
        } = self;
        let length = body.len() as u64;
        let half = || body.slice(..body.len() / 2);
        let steps: VecDeque<_> = match fault {
            Some(Fault::ErrorEvent { kind, .. }) => {
                let error = Failure::from(kind).body(call.dialect, call.id);
                drop(charge);
                return json(error, call.id);
            }
            Some(Fault::Truncate) => [Step::Send(half(), 0)].into(),
            Some(Fault::ResetInBody) => [
                Step::Send(half(), 0),
                Step::Pause(BEFORE_RESET),
                Step::Reset(call.fuse),
            ]
            .into(),
            Some(Fault::Trickle(pause)) => (0..body.len())
                .step_by(PIECE)
                .flat_map(|from| {
                    let piece = body.slice(from..body.len().min(from + PIECE));
                    [Step::Pause(pause), Step::Send(piece, 0)]
                })
                .collect(),
            _ => {
                charge.add(tokens);
                drop(charge);
                return json(body, call.id);
            }
        };
        charge.add(tokens);
        let mut response = json(Bytes::new(), call.id);
        if fault != Some(Fault::Truncate) {
            let headers = response.headers_mut();
            headers.insert(CONTENT_LENGTH, length.into());
        }
        *response.body_mut() = Body::steps(steps, charge);
        response
    }

    /// Answers event by event.
    pub(super) fn stream(self, mut events: VecDeque<Step>) -> Response<Body> {
        let Self {
            call,
            charge,
            fault,
        } = self;
        match fault {
            Some(Fault::ErrorEvent { kind, after }) => {
                events.truncate(usize::try_from(after).unwrap_or(usize::MAX));
                let event = Failure::from(kind).event(call.dialect, call.id);
                events.push_back(Step::Send(event.into(), 0));
            }
            Some(Fault::Truncate | Fault::ResetInBody) => events.truncate(events.len() / 2),
            _ => {}
        }
        let trickle = match fault {
            Some(Fault::Trickle(pause)) => pause,
            _ => Duration::ZERO,
        };
        let pace = call.world.settings.token_time;
        if !trickle.is_zero() || !pace.is_zero() {
            events = events
                .into_iter()
                .flat_map(|event| {
                    let tokens = match &event {
                        Step::Send(_, tokens) => u32::try_from(*tokens).unwrap_or(u32::MAX),
                        _ => 0,
                    };
                    [
                        Step::Pause(trickle.saturating_add(pace.saturating_mul(tokens))),
                        event,
                    ]
                })
                .filter(|step| !matches!(step, Step::Pause(Duration::ZERO)))
                .collect();
        }
        if fault == Some(Fault::ResetInBody) {
            events.push_back(Step::Pause(BEFORE_RESET));
            events.push_back(Step::Reset(call.fuse));
        }

        let mut response = Response::new(Body::steps(events, charge));
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("text/event-stream;charset=UTF-8"),
        );
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        call.id.mark(headers);
        response
    }
}
