use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use throttle_signal::{Classified, Kind, Origin, Throttle, Trail};
use tokio::sync::watch;
use tower::{Service, ServiceExt};

use crate::endpoint::Endpoint;
use crate::input::Job;
use crate::record::{self, Record};
use crate::wire::{Broken, Sent};

/// A stack hands a refusal back when its own patience is over; a batch has more, up to here.
const RETURNS: u32 = 10;

/// What all errands of a run share.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) endpoint: Endpoint,
    /// Set to `true` to send nothing more.
    pub(crate) stop: watch::Receiver<bool>,
}

/// How one request ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is to be recorded.
    Done(Done),
    /// Refused for good, with no layer there to say what the refusal means.
    Refused,
    /// The run ends before it was sent.
    SetAside,
    /// It can be done another time, when somebody has done something about this.
    LeftOver(LeftOver),
}

/// Why a request is left over.
#[derive(Debug)]
pub(crate) struct LeftOver {
    pub(crate) reason: String,
    /// Whether no other request would fare better.
    pub(crate) as_all: bool,
    /// Whether the endpoint said so itself, and not a layer that had heard it before.
    pub(crate) first_hand: bool,
}

/// A request to record.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) record: Record,
    pub(crate) model: String,
    pub(crate) account: Option<String>,
}

/// Takes one request through `service`, until it is answered or there is no use.
pub(crate) async fn run<S, B>(service: S, job: Job, shared: Shared) -> Outcome
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error = Broken> + Clone,
    B: Body<Data = Bytes, Error: fmt::Display>,
{
    let (sent, mut seen) = Sent::not_yet();
    let mut stop = shared.stop.clone();
    let set_aside = async {
        // Both outlive this future: neither wait can fail.
        let _ = stop.wait_for(|stop| *stop).await;
        let _ = seen.wait_for(|sent| !sent).await;
    };
    tokio::select! {
        // An answer that is there is kept, whatever else has happened.
        biased;
        outcome = attempt(service, job, sent, &shared) => outcome,
        () = set_aside => Outcome::SetAside,
    }
}

async fn attempt<S, B>(service: S, job: Job, sent: Sent, shared: &Shared) -> Outcome
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error = Broken> + Clone,
    B: Body<Data = Bytes, Error: fmt::Display>,
{
    let uri = match shared.endpoint.url(&job.url) {
        Ok(uri) => uri,
        Err(error) => return failed(job, "invalid_url", error.to_string()),
    };
    let mut returns = 0;
    loop {
        let mut request = Request::post(uri.clone())
            .body(Full::new(job.body.clone()))
            .unwrap_or_default();
        request
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request.extensions_mut().insert(sent.clone());
        match answer(service.clone(), request).await {
            Ok(response) => match refusal(&response) {
                None => return answered(job, &response),
                Some(Refusal::Unread) => return Outcome::Refused,
                Some(Refusal::Read(throttle)) => match verdict(throttle, &mut returns) {
                    Verdict::Again(wait) => tokio::time::sleep(wait).await,
                    Verdict::Failed => return answered(job, &response),
                    Verdict::LeftOver { as_all } => {
                        let reason = why(throttle, &response);
                        return Outcome::LeftOver(LeftOver {
                            reason,
                            as_all,
                            first_hand: throttle.origin() == Origin::Upstream,
                        });
                    }
                },
            },
            Err(broken) if broken.is_unreachable() => {
                let host = shared.endpoint.authority();
                let reason =
                    format!("cannot reach {host}: {broken}; check --base-url and the network");
                return Outcome::LeftOver(LeftOver {
                    reason,
                    as_all: true,
                    first_hand: true,
                });
            }
            Err(broken) => {
                return failed(job, "connection", format!("the connection broke: {broken}"));
            }
        }
    }
}

async fn answer<S, B>(service: S, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, Broken>
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error = Broken>,
    B: Body<Data = Bytes, Error: fmt::Display>,
{
    let (parts, body) = service.oneshot(request).await?.into_parts();
    let body = body
        .collect()
        .await
        .map_err(|error| Broken::new(error.to_string()))?;
    Ok(Response::from_parts(parts, body.to_bytes()))
}

enum Refusal<'a> {
    Read(&'a Throttle),
    Unread,
}

fn refusal(response: &Response<Bytes>) -> Option<Refusal<'_>> {
    match Classified::throttle(response.extensions()) {
        Some(throttle) => Some(Refusal::Read(throttle)),
        None => (response.status() == StatusCode::TOO_MANY_REQUESTS).then_some(Refusal::Unread),
    }
}

enum Verdict {
    Again(Duration),
    Failed,
    LeftOver { as_all: bool },
}

fn verdict(throttle: &Throttle, returns: &mut u32) -> Verdict {
    *returns += 1;
    match throttle.kind() {
        Kind::Credential => Verdict::LeftOver { as_all: true },
        // Another model of the input may have some left.
        Kind::QuotaExhausted => Verdict::LeftOver { as_all: false },
        _ if throttle.retry() && *returns < RETURNS => {
            Verdict::Again(throttle.wait().known().unwrap_or(Duration::from_secs(1)))
        }
        _ => Verdict::Failed,
    }
}

fn why(throttle: &Throttle, response: &Response<Bytes>) -> String {
    let why = throttle.to_string();
    match record::text(response.body(), &["/error/message", "/message"]) {
        Some(said) if said != why => format!("{why} (it said: {said})"),
        _ => why,
    }
}

fn failed(job: Job, code: &str, reason: String) -> Outcome {
    let record = Record::failed(job.line, job.custom_id, code, reason);
    Outcome::Done(Done {
        record,
        model: job.model,
        account: None,
    })
}

fn answered(job: Job, response: &Response<Bytes>) -> Outcome {
    let trail = response.extensions().get::<Trail>();
    let model = trail
        .and_then(|trail| trail.model.as_deref())
        .map(str::to_owned);
    let account = trail
        .and_then(|trail| trail.account.as_ref())
        .map(ToString::to_string);
    let request_id = response
        .headers()
        .get("x-request-id")
        .and_then(|id| id.to_str().ok())
        .map(str::to_owned);
    let record = Record::answered(
        job.line,
        job.custom_id,
        response.status(),
        request_id,
        response.body(),
    );
    Outcome::Done(Done {
        record,
        model: model.unwrap_or(job.model),
        account,
    })
}
