use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use http::header::{CONTENT_TYPE, HeaderMap};
use http::{HeaderValue, Request, Response, StatusCode};
use serde_json::{Value, json};
use tower_http::catch_panic::CatchPanicLayer;

use crate::endpoint::Endpoint;
use crate::record::Record;
use crate::refusal::Refusal;
use crate::relay::{refuse, relay};
use crate::status;
use crate::worker::Worker;

/// Everything that callers are served.
pub(crate) fn router(worker: Arc<Worker>) -> Router {
    let mut router = Router::new();
    for endpoint in Endpoint::ALL {
        let handler = async move |State(worker): State<Arc<Worker>>, request: Request<Body>| {
            relay(worker, endpoint, request).await
        };
        router = router.route(&format!("/v1/{}", endpoint.path()), post(handler));
    }
    router
        .route("/v1/models", get(models))
        .route("/v1/models/{*model}", get(model))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics_with_key))
        .route("/status.json", get(status_with_key))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(CatchPanicLayer::custom(ours))
        .with_state(worker)
}

/// What operators are served by a listener of their own.
pub(crate) fn operators(worker: Arc<Worker>) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/status.json", get(status))
        .fallback(unknown)
        .with_state(worker)
}

/// The answer to a request that a mistake of ours has ended.
#[expect(clippy::needless_pass_by_value, reason = "as the layer calls it")]
pub(crate) fn ours(panic: Box<dyn Any + Send>) -> Response<Body> {
    let message = panic.downcast_ref::<&str>().copied();
    let message = message.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(message, "a request ended in a panic");
    Refusal::Ours.response().map(Body::from)
}

async fn models(State(worker): State<Arc<Worker>>, headers: HeaderMap) -> Response<Body> {
    let setup = &worker.routes().setup;
    let client = match setup.gate.open(&headers) {
        Ok(client) => client,
        Err(refusal) => return turn_away(&worker, &headers, &refusal),
    };
    let names = setup.config.names().filter(|name| client.may_use(name));
    let data: Vec<_> = names.map(|name| described(name, setup.created)).collect();
    answer_json(&json!({"object": "list", "data": data}))
}

async fn model(
    State(worker): State<Arc<Worker>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    let setup = &worker.routes().setup;
    match setup.gate.open(&headers) {
        Ok(client) if setup.config.names().any(|known| known == name) && client.may_use(&name) => {
            answer_json(&described(&name, setup.created))
        }
        Ok(_) => turn_away(&worker, &headers, &Refusal::UnknownModel(name)),
        Err(refusal) => turn_away(&worker, &headers, &refusal),
    }
}

async fn ready(State(worker): State<Arc<Worker>>) -> (StatusCode, &'static str) {
    if worker.is_ending() {
        (StatusCode::SERVICE_UNAVAILABLE, "ending\n")
    } else if status::is_any_account_in(&worker.routes().setup) {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "no account can be used\n")
    }
}

async fn metrics(State(worker): State<Arc<Worker>>) -> Response<Body> {
    status::measure(&worker.routes().setup, worker.metrics());
    let text = worker.metrics().encode();
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    with_type(Body::from(text), kind)
}

async fn status(State(worker): State<Arc<Worker>>) -> Response<Body> {
    answer_json(&status::show(&worker.routes().setup))
}

async fn metrics_with_key(state: State<Arc<Worker>>, headers: HeaderMap) -> Response<Body> {
    match state.routes().setup.gate.open_to_admin(&headers) {
        Ok(()) => metrics(state).await,
        Err(refusal) => turn_away(&state, &headers, &refusal),
    }
}

async fn status_with_key(state: State<Arc<Worker>>, headers: HeaderMap) -> Response<Body> {
    match state.routes().setup.gate.open_to_admin(&headers) {
        Ok(()) => status(state).await,
        Err(refusal) => turn_away(&state, &headers, &refusal),
    }
}

async fn unknown(State(worker): State<Arc<Worker>>, headers: HeaderMap) -> Response<Body> {
    turn_away(&worker, &headers, &Refusal::UnknownPath)
}

async fn wrong_method(State(worker): State<Arc<Worker>>, headers: HeaderMap) -> Response<Body> {
    turn_away(&worker, &headers, &Refusal::WrongMethod)
}

fn turn_away(worker: &Worker, headers: &HeaderMap, refusal: &Refusal) -> Response<Body> {
    let id = worker.request_id(headers);
    refuse(Record::begin(worker.metrics(), id, "other"), refusal)
}

fn described(name: &str, created: u64) -> Value {
    json!({"id": name, "object": "model", "created": created, "owned_by": "relay"})
}

fn answer_json(value: &Value) -> Response<Body> {
    with_type(Body::from(value.to_string()), "application/json")
}

fn with_type(body: Body, kind: &'static str) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn a_mistake_of_ours_is_an_answer_in_words() {
        let wrong = async || -> StatusCode { panic!("index out of bounds") };
        let router = Router::new().route("/", get(wrong));
        let router = router.layer(CatchPanicLayer::custom(ours));
        let answer = router.oneshot(Request::new(Body::empty())).await.unwrap();
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let error: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(error["error"]["code"], "internal_error");
        assert!(!error.to_string().contains("bounds"));
    }
}
