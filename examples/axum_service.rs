//! A service on axum whose handler asks Qwen through the stack.
//!
//! Callers say how long they can wait, in `x-timeout-ms`; no layer waits past it. What cannot be answered in
//! that time is refused at once, with the time at which it could have been.
//!
//! ```console
//! $ cargo run --release --example axum_service
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Request, Response, StatusCode};
use axum::routing::post;
use bytes::Bytes;
use fallback_layer::{Candidate, Fallback, FallbackLayer};
use futures_util::future::join_all;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use key_rotation_layer::{KeyPool, KeyRotation, KeyRotationLayer};
use model_studio_sim::{Limits, Simulator};
use rate_limit_layer::{Limiter, Quota, RateLimit, RateLimitLayer};
use retry_429_layer::{Retry429, Retry429Layer};
use throttle_signal::{Deadline, Profile, Reader};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tower::{ServiceBuilder, ServiceExt};

type Http = Client<HttpConnector, Full<Bytes>>;

/// What every handler shares. The type of the stack has a name, so nothing is boxed.
#[derive(Clone)]
struct App {
    qwen: Fallback<Retry429<KeyRotation<RateLimit<Http>>>>,
    url: String,
}

async fn ask(State(app): State<App>, headers: HeaderMap, question: String) -> Response<Body> {
    let chat = serde_json::json!({
        "model": "qwen3-max",
        "messages": [{ "role": "user", "content": question }],
    });
    let mut request = Request::new(Full::from(chat.to_string()));
    *request.method_mut() = Method::POST;
    let Ok(uri) = app.url.parse() else {
        return status(StatusCode::INTERNAL_SERVER_ERROR);
    };
    *request.uri_mut() = uri;

    let timeout = headers
        .get("x-timeout-ms")
        .and_then(|ms| ms.to_str().ok()?.parse().ok());
    // Any number may come, and one past all clocks is as good as none.
    let deadline = timeout.and_then(|ms| Instant::now().checked_add(Duration::from_millis(ms)));
    if let Some(deadline) = deadline {
        request.extensions_mut().insert(Deadline(deadline));
    }
    match app.qwen.oneshot(request).await {
        Ok(answer) => answer.map(Body::new),
        Err(_) => status(StatusCode::BAD_GATEWAY),
    }
}

fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let studio = Simulator::builder()
        .account("ours", ["sk-1"])
        .model("qwen3-max", Limits::per_minute(120).per_second(2))
        .start()
        .await?;
    let quota = Quota::new().requests_per_minute(120).requests_per_second(2);
    let limiter = Limiter::builder().model("qwen3-max", quota).build();
    let pool = KeyPool::builder().account("ours", ["sk-1"]).build()?;
    let reader = Reader::new().profile(Profile::named("model-studio").ok_or("no such profile")?);
    let http = Client::builder(TokioExecutor::new()).build_http();
    let qwen = ServiceBuilder::new()
        .layer(FallbackLayer::new([Candidate::model("qwen3-max")]))
        .layer(Retry429Layer::new())
        .layer(KeyRotationLayer::new(pool).headroom(limiter.clone()))
        .layer(RateLimitLayer::new(limiter).reader(reader))
        .service(http.clone());
    let url = format!("{}/chat/completions", studio.base_url());

    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let here = format!("http://{}/ask", listener.local_addr()?);
    let router = Router::new()
        .route("/ask", post(ask))
        .with_state(App { qwen, url });
    tokio::spawn(async move { axum::serve(listener, router).await });

    println!("two questions a second, ten at once");
    let patient = (1..=6).map(|number| call(&http, &here, number, 10_000));
    let hasty = (7..=10).map(|number| call(&http, &here, number, 1_000));
    for said in join_all(patient.chain(hasty)).await {
        println!("{}", said?);
    }
    Ok(())
}

/// Asks as a client of the service does, and says how that went.
async fn call(http: &Http, here: &str, number: u32, ms: u32) -> Result<String, Box<dyn Error>> {
    let start = Instant::now();
    let request = Request::post(here)
        .header("x-timeout-ms", ms)
        .body(Full::from(format!("Name river {number}.")))?;
    let answer = http.request(request).await?;
    let after = start.elapsed().as_secs_f64();
    let status = answer.status();
    let again = answer
        .headers()
        .get("retry-after-ms")
        .map(|ms| ms.to_str().map(str::to_owned))
        .transpose()?;
    answer.into_body().collect().await?;
    let again = again.map_or_else(String::new, |ms| format!(", again in {ms} ms"));
    Ok(format!(
        "{number:>2}: {ms:>5} ms to wait: {} after {after:.2} s{again}",
        status.as_u16()
    ))
}
