//! A server on axum that limits each of its callers, and tells those it refuses when to come back.
//!
//! A caller with a key the server knows has a rate of its own, wherever it calls from; everyone
//! else shares that of the address they call from. Those who keep to what they are told are never
//! refused.
//!
//! ```console
//! $ cargo run --release --example axum_inbound
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::fmt::{Debug, Write};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::routing::get;
use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use rate_limit_layer::inbound::{InboundLayer, Rate, client_ip};
use retry_429_layer::Retry429Layer;
use throttle_signal::Trail;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};
use tower::{Layer, Service, ServiceExt};

/// One request in half a second, and five at once after a rest.
const RATE: Rate = Rate::per_second(2).burst(5);
const CALLS: u32 = 8;

/// Proxies of ours, whose `X-Forwarded-For` is believed. There are none here.
const PROXIES: &[IpAddr] = &[];

/// Whom a request counts against.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Caller {
    Known(&'static str),
    // Not by the key: whoever makes up keys must not get a new rate with each.
    At(IpAddr),
}

fn caller(request: &Request<Body>) -> Option<Caller> {
    let key = request.headers().get("x-api-key");
    match key.map(HeaderValue::as_bytes) {
        Some(b"key-of-ann") => return Some(Caller::Known("ann")),
        Some(b"key-of-ben") => return Some(Caller::Known("ben")),
        Some(b"key-of-cem") => return Some(Caller::Known("cem")),
        _ => {}
    }
    let ConnectInfo(peer) = request.extensions().get::<ConnectInfo<SocketAddr>>()?;
    Some(Caller::At(client_ip(request.headers(), peer.ip(), PROXIES)))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let router = Router::new()
        .route("/", get(async || "hello"))
        .layer(InboundLayer::new(RATE, caller)) // the one line more
        .route("/health", get(async || "well")); // routes added after it are not limited
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });

    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let at_once = Duration::ZERO;
    println!("{CALLS} calls from everyone; two a second are allowed, five at once");

    let answers = calls(&client, &url, "key-of-ann", at_once).await?;
    show("ann, all at once", &answers);
    if let Some(refusal) = answers.iter().find(|answer| !answer.status.is_success()) {
        println!("{}", refusal.text);
    }
    let pace = Duration::from_millis(500);
    let answers = calls(&client, &url, "key-of-ben", pace).await?;
    show("ben, two a second", &answers);

    // The layer on the other side reads what this one writes.
    let patient = Retry429Layer::new().layer(client.clone());
    let answers = calls(&patient, &url, "key-of-cem", at_once).await?;
    show("cem, all at once, coming back when told", &answers);

    let answers = calls(&client, &url, "made-up", at_once).await?;
    show("a made-up key", &answers);
    let answers = calls(&client, &url, "another", at_once).await?;
    show("another, from the same address", &answers);
    let answers = calls(&client, &format!("{url}/health"), "", at_once).await?;
    show("on the route without a limit", &answers);
    Ok(())
}

struct Answer {
    status: StatusCode,
    sends: u32,
    text: String,
}

/// Calls with `key`, one call each `pace`.
async fn calls<S, R>(
    client: &S,
    url: &str,
    key: &str,
    pace: Duration,
) -> Result<Vec<Answer>, Box<dyn Error>>
where
    S: Service<Request<Full<Bytes>>, Response = Response<R>, Error: Debug> + Clone,
    R: http_body::Body<Data = Bytes, Error: Debug>,
{
    let start = Instant::now();
    let calls = (0..CALLS).map(async |call| {
        sleep(pace * call).await;
        let request = Request::get(url)
            .header("x-api-key", key)
            .body(Full::default())?;
        let sent = client.clone().oneshot(request).await;
        answer(sent.map_err(|error| format!("{error:?}"))?, start).await
    });
    join_all(calls).await.into_iter().collect()
}

async fn answer<R>(response: Response<R>, start: Instant) -> Result<Answer, Box<dyn Error>>
where
    R: http_body::Body<Data = Bytes, Error: Debug>,
{
    let (parts, body) = response.into_parts();
    let mut text = String::new();
    let after = start.elapsed().as_secs_f64();
    writeln!(text, "    {} after {after:.1} s", parts.status)?;
    for name in [
        "ratelimit-policy",
        "ratelimit",
        "retry-after",
        "retry-after-ms",
    ] {
        if let Some(value) = parts.headers.get(name) {
            writeln!(text, "    {name}: {}", value.to_str()?)?;
        }
    }
    let body = body.collect().await.map_err(|error| format!("{error:?}"))?;
    write!(text, "    {}", String::from_utf8_lossy(&body.to_bytes()))?;
    let sends = parts
        .extensions
        .get()
        .map_or(1, |trail: &Trail| trail.attempts);
    Ok(Answer {
        status: parts.status,
        sends,
        text,
    })
}

fn show(who: &str, answers: &[Answer]) {
    let answered = answers.iter().filter(|answer| answer.status.is_success());
    let answered = answered.count();
    let sends: u32 = answers.iter().map(|answer| answer.sends).sum();
    let refused = answers.len() - answered;
    println!("{who:>40}: {answered} answered, {refused} refused, {sends} sends");
}
