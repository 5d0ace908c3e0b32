//! axum: a handler that calls through the stack, and layers of ours on routers and routes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ::axum::Router;
use ::axum::body::Body;
use ::axum::extract::State;
use ::axum::routing::post;
use bytes::Bytes;
use fallback_layer::Fallback;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use key_rotation_layer::KeyRotation;
use rate_limit_layer::inbound::{InboundLayer, Rate};
use rate_limit_layer::{Limiter, Quota, RateLimit};
use replay_body::{IntoBodyLayer, ReplayLayer};
use retry_429_layer::Retry429;
use throttle_signal::DeadlineLayer;
use tokio::net::TcpListener;
use tower::{ServiceBuilder, ServiceExt};

use crate::hyper::{HyperClient, client};
use crate::layers::{falling_back, limiter, pacing, retrying, rotating, stack};
use crate::studio::{chat, check, studio};

const CAP: usize = 1 << 20;

pub(crate) async fn serve(router: Router) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move { ::axum::serve(listener, router).await });
    format!("http://{addr}")
}

async fn send(url: String) -> (StatusCode, Bytes) {
    let request = Request::post(url).body(Full::from("hello")).unwrap();
    let (parts, body) = client().oneshot(request).await.unwrap().into_parts();
    (parts.status, body.collect().await.unwrap().to_bytes())
}

/// What a handler that refuses at first has seen.
#[derive(Clone, Default)]
struct Refusing(Arc<AtomicU32>);

/// Refuses the first request, then says what it was sent and with which key.
async fn refusing(
    State(seen): State<Refusing>,
    headers: HeaderMap,
    body: String,
) -> Response<Body> {
    if seen.0.fetch_add(1, Ordering::Relaxed) == 0 {
        let refusal = Response::builder()
            .status(429)
            .header("retry-after-ms", "20");
        return refusal.body(Body::from("slow down")).unwrap();
    }
    let key = headers
        .get("authorization")
        .map_or("-", |key| key.to_str().unwrap());
    Response::new(Body::from(format!("{body} {key}")))
}

/// Sends through `$layer` on a router, and on a route; the handler refuses `$refuse` first requests.
macro_rules! sent {
    ($layer:expr, $refuse:expr) => {{
        // The body of axum can be sent once; `ReplayLayer` outside ours makes it one that can be sent
        // again, and `IntoBodyLayer` inside makes it axum's again.
        let layer = ServiceBuilder::new()
            .layer(ReplayLayer::new(CAP))
            .layer($layer)
            .layer(IntoBodyLayer::new(Body::new));
        let seen = || Refusing(Arc::new(AtomicU32::new(1 - $refuse)));
        let router = Router::new().route("/", post(refusing)).layer(layer.clone());
        let router = send(serve(router.with_state(seen())).await).await;
        let route = Router::new().route("/", post(refusing).layer(layer));
        let route = send(serve(route.with_state(seen())).await).await;
        [router, route]
    }};
}

#[tokio::test]
async fn each_layer_alone_on_a_router_and_on_a_route() {
    let (plain, keyed) = ("hello -", "hello Bearer sk-a1");
    let answered =
        |text: &'static str| [(StatusCode::OK, text.into()), (StatusCode::OK, text.into())];
    assert_eq!(sent!(pacing(&limiter()), 0), answered(plain));
    let [router, route] = sent!(rotating(None), 0);
    assert_eq!(router, (StatusCode::OK, keyed.into()));
    assert_eq!(route.0, StatusCode::OK);
    assert_ne!(route.1, plain);
    assert_eq!(sent!(retrying(), 0), answered(plain));
    assert_eq!(sent!(falling_back(), 0), answered(plain));
}

#[tokio::test]
async fn stacked_on_a_router_and_on_a_route() {
    for (status, body) in sent!(stack().into_inner(), 1) {
        assert_eq!(status, StatusCode::OK);
        assert!(body.starts_with(b"hello Bearer sk-"), "{body:?}");
    }
}

#[tokio::test]
async fn a_handler_that_refuses_is_asked_again_per_router_and_per_route() {
    let layers = ServiceBuilder::new()
        .layer(ReplayLayer::new(CAP))
        .layer(retrying())
        .layer(IntoBodyLayer::new(Body::new));

    let seen = Refusing::default();
    let router = Router::new()
        .route("/", post(refusing))
        .layer(layers.clone());
    let url = serve(router.with_state(seen.clone())).await;
    assert_eq!(send(url).await, (StatusCode::OK, "hello -".into()));
    assert_eq!(seen.0.load(Ordering::Relaxed), 2);

    let seen = Refusing::default();
    let router = Router::new()
        .route("/layered", post(refusing).layer(layers))
        .route("/plain", post(refusing));
    let url = serve(router.with_state(seen.clone())).await;
    assert_eq!(
        send(format!("{url}/layered")).await,
        (StatusCode::OK, "hello -".into())
    );
    let seen = seen.0.swap(0, Ordering::Relaxed);
    assert_eq!(seen, 2);
    assert_eq!(
        send(format!("{url}/plain")).await.0,
        StatusCode::TOO_MANY_REQUESTS
    );
}

/// axum applies a layer to each route, and again for each connection.
#[tokio::test]
async fn a_limit_is_one_for_all_routes_and_connections() {
    let limiter = Limiter::builder()
        .default_quota(Quota::new().requests_per_minute(1))
        .build();
    let layers = ServiceBuilder::new()
        .layer(ReplayLayer::new(CAP))
        .layer(DeadlineLayer::new(Duration::from_secs(5)))
        .layer(pacing(&limiter))
        .layer(IntoBodyLayer::new(Body::new));
    let router = Router::new()
        .route("/a", post(async || "a"))
        .route("/b", post(async || "b"))
        .layer(layers);
    let url = serve(router).await;
    // Each from a connection of its own.
    assert_eq!(send(format!("{url}/a")).await.0, StatusCode::OK);
    assert_eq!(
        send(format!("{url}/b")).await.0,
        StatusCode::TOO_MANY_REQUESTS
    );
    assert_eq!(
        send(format!("{url}/a")).await.0,
        StatusCode::TOO_MANY_REQUESTS
    );
}

/// Whom a request is from, by a header.
fn caller(request: &Request<Body>) -> Option<http::HeaderValue> {
    request.headers().get("x-caller").cloned()
}

async fn send_as(caller: &'static str, url: &str) -> (StatusCode, HeaderMap) {
    let request = Request::post(url)
        .header("x-caller", caller)
        .body(Full::default())
        .unwrap();
    let (parts, body) = client().oneshot(request).await.unwrap().into_parts();
    body.collect().await.unwrap();
    (parts.status, parts.headers)
}

#[tokio::test]
async fn callers_are_limited_per_router_and_per_route() {
    let layer = || InboundLayer::new(Rate::per_minute(2), caller);
    let paths = || Router::new().route("/a", post(async || "a"));
    let whole = serve(
        paths()
            .route("/b", post(async || "b"))
            .layer(layer())
            .route("/free", post(async || "free")),
    )
    .await;
    let single = serve(paths().route("/b", post(async || "b").layer(layer()))).await;

    // On a router it is one limit for all routes before it, whichever connection they come by.
    for (path, status) in [
        ("a", 200),
        ("b", 200),
        ("a", 429),
        ("b", 429),
        ("free", 200),
    ] {
        let (got, headers) = send_as("one", &format!("{whole}/{path}")).await;
        assert_eq!(got, status, "{path}");
        assert_eq!(headers.contains_key("ratelimit"), path != "free");
        assert_eq!(headers.contains_key("retry-after"), status == 429);
    }
    assert_eq!(send_as("other", &format!("{whole}/a")).await.0, 200);
    // On a route it is that one's.
    for (path, status) in [("b", 200), ("b", 200), ("b", 429), ("a", 200)] {
        assert_eq!(send_as("one", &format!("{single}/{path}")).await.0, status);
    }
}

/// What a handler calls the model with.
type Model = Fallback<Retry429<KeyRotation<RateLimit<HyperClient>>>>;

#[tokio::test]
async fn a_handler_calls_through_the_stack() {
    #[derive(Clone)]
    struct App {
        model: Model,
        chat: Request<Full<Bytes>>,
    }

    async fn ask(State(app): State<App>) -> Response<Body> {
        app.model.oneshot(app.chat).await.unwrap().map(Body::new)
    }

    let studio = studio(0.2).await;
    let app = App {
        model: stack().service(client()),
        chat: chat(&studio),
    };
    let url = serve(Router::new().route("/", post(ask)).with_state(app)).await;
    for _ in 0..10 {
        let (status, body) = send(url.clone()).await;
        check(status, &body);
    }
}
