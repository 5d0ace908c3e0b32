use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Extensions, HeaderName, Request, Response};
use http_body_util::Full;
use serde::de::IgnoredAny;
use throttle_signal::{Classified, Priority, RequestFacts, Trail};
use tokio::time::timeout_at;

use crate::answer::{Answer, REQUEST_ID, tell, withhold};
use crate::asked::read;
use crate::endpoint::Endpoint;
use crate::merge::Merge;
use crate::record::Record;
use crate::refusal::Refusal;
use crate::routes::{Route, Routes};
use crate::worker::Worker;

/// Whether a header concerns the connection of the caller, or is its secret, and goes no further.
/// Encodings are not asked for, so that the usage of an answer can be read.
fn is_withheld(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "accept-encoding"
            | "api-key"
            | "authorization"
            | "connection"
            | "content-length"
            | "cookie"
            | "expect"
            | "host"
            | "keep-alive"
            | "te"
            | "transfer-encoding"
            | "upgrade"
            | "x-api-key"
    ) || *name == crate::dispatch::PLACE
}

/// Answers one request for a model.
pub(crate) async fn relay(
    worker: Arc<Worker>,
    endpoint: Endpoint,
    request: Request<Body>,
) -> Response<Body> {
    let (mut head, body) = request.into_parts();
    let id = worker.request_id(&head.headers);
    let mut record = Record::begin(worker.metrics(), id, endpoint.path());
    let routes = worker.routes();
    match answer(&routes, endpoint, &mut head, body, &mut record).await {
        Ok((mut response, trail)) => {
            tell(&mut response, &trail, header(&record.id));
            record.answered(response.status(), &trail, &routes.setup);
            let streams = streams(response.headers());
            response.map(|body| Body::new(Answer::new(Merge::new(body, streams), record, streams)))
        }
        Err(refusal) => refuse(record, &refusal),
    }
}

/// Whether an answer is a stream of events.
fn streams(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

/// Answers what the relay itself refuses.
pub(crate) fn refuse(record: Record, refusal: &Refusal) -> Response<Body> {
    let mut response = refusal.response();
    response
        .headers_mut()
        .insert(REQUEST_ID, header(&record.id));
    record.refused(response.status(), refusal.code());
    response.map(Body::from)
}

type Answered = (Response<crate::routes::AnswerBody>, Trail);

async fn answer(
    routes: &Routes,
    endpoint: Endpoint,
    head: &mut Parts,
    body: Body,
    record: &mut Record,
) -> Result<Answered, Refusal> {
    let config = &routes.setup.config;
    let client = routes.setup.gate.open(&head.headers)?;
    let place = client.admit()?;
    record.client(&client.name, place);
    let body = read(body, &config.limits).await?;

    let start = record.arrived();
    let deadline = start + deadline(&head.headers, config.deadline);
    let start_by = start + config.max_wait;
    let mut facts = RequestFacts::gather(&head.headers, &Extensions::new(), body.clone(), start);
    facts.lower_deadline(deadline);
    facts.lower_start_by(start_by);
    facts.set_tenant(Some(client.tenant().clone()));
    facts.set_priority(Priority(client.priority));
    let Some(model) = facts.model() else {
        return Err(no_model(&body));
    };
    let route = routes
        .find(model)
        .ok_or_else(|| Refusal::UnknownModel(model.to_string()))?;
    if !client.may_use(model) {
        return Err(Refusal::NotForThisKey(model.to_string()));
    }
    record.model(model);

    // In a box of its own: it is several KiB, and would be moved each time that this is.
    let request = request(head, endpoint, body, facts.clone());
    let answer = Box::pin(routes.send(route, request));
    let answer = timeout_at(deadline, answer).await;
    let mut response = match answer {
        Ok(Ok(response)) => response,
        Ok(Err(broken)) if broken.is_unsent() => {
            return Err(Refusal::Unreachable(broken.to_string()));
        }
        Ok(Err(broken)) => return Err(Refusal::Broken(broken.to_string())),
        Err(_) => return Err(Refusal::TooLate(deadline - start)),
    };
    let mut trail = Trail::take(response.extensions_mut());
    if matches!(route, Route::Direct(_)) {
        trail.model.get_or_insert_with(|| Arc::clone(model));
    }
    if trail.account.is_none() {
        let throttle = Classified::throttle(response.extensions());
        trail.account = throttle.and_then(|throttle| throttle.account().cloned());
    }
    Ok((response, trail))
}

/// The request as it goes upstream, but for its key, and for its URL, which is told when the provider is
/// known. All else that the layers are to know is in the facts: they keep an extension that is alone for
/// less than two.
fn request(
    head: &mut Parts,
    endpoint: Endpoint,
    body: Bytes,
    facts: RequestFacts,
) -> Request<Full<Bytes>> {
    let mut headers = std::mem::take(&mut head.headers);
    withhold(&mut headers, is_withheld);
    headers
        .entry(CONTENT_TYPE)
        .or_insert(HeaderValue::from_static("application/json"));
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = endpoint.with_query(head.uri.query());
    *request.headers_mut() = headers;
    request.extensions_mut().insert(facts);
    request
}

/// Why no model was found in a body.
fn no_model(body: &[u8]) -> Refusal {
    match serde_json::from_slice::<IgnoredAny>(body) {
        Err(error) => Refusal::BadJson(error),
        Ok(_) => Refusal::NoModel,
    }
}

/// How long the caller waits, as the clients of OpenAI say, or as is usual here.
fn deadline(headers: &HeaderMap, usual: Duration) -> Duration {
    const NAMES: [HeaderName; 2] = [
        HeaderName::from_static("x-stainless-read-timeout"),
        HeaderName::from_static("x-stainless-timeout"),
    ];
    let said = NAMES
        .iter()
        .find_map(|name| headers.get(name)?.to_str().ok()?.parse().ok());
    let said = said.and_then(|seconds: f64| Duration::try_from_secs_f64(seconds).ok());
    said.filter(|said| !said.is_zero())
        .map_or(usual, |said| said.min(usual))
}

fn header(id: &str) -> HeaderValue {
    HeaderValue::from_str(id).unwrap_or(HeaderValue::from_static("-"))
}
