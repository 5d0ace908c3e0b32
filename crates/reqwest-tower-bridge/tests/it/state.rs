//! What layers share lasts from request to request, and any tower layer over `http` messages fits.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::response::Redirect;
use axum::routing::get;
use http::{Extensions, HeaderName, HeaderValue, Request, Response, StatusCode};
use reqwest::Client;
use reqwest_middleware::{ClientBuilder, Middleware, Next};
use reqwest_tower_bridge::{LayerMiddleware, RequestBody};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};
use tower::filter::AsyncFilterLayer;
use tower::limit::{ConcurrencyLimitLayer, GlobalConcurrencyLimitLayer};
use tower::load_shed::LoadShedLayer;
use tower::util::{AndThenLayer, MapRequestLayer};
use tower::{BoxError, ServiceBuilder};
use tower_http::follow_redirect::FollowRedirectLayer;
use tower_http::set_header::SetRequestHeaderLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;

use crate::server::serve;

/// Answers after a second, without a network, and notes how many were at it at once.
#[derive(Clone, Default)]
struct Bottom {
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

#[async_trait::async_trait]
impl Middleware for Bottom {
    async fn handle(
        &self,
        _: reqwest::Request,
        _: &mut Extensions,
        _: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        self.most.fetch_max(
            self.now.fetch_add(1, Ordering::Relaxed) + 1,
            Ordering::Relaxed,
        );
        sleep(Duration::from_secs(1)).await;
        self.now.fetch_sub(1, Ordering::Relaxed);
        Ok(Response::new("").into())
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_layer_shares_lasts_from_request_to_request() {
    let bottom = Bottom::default();
    let client = ClientBuilder::new(Client::new())
        .with(LayerMiddleware::new(GlobalConcurrencyLimitLayer::new(2)))
        .with(bottom.clone())
        .build();

    let start = Instant::now();
    let sends = (0..6).map(|_| tokio::spawn(client.get("http://nobody.invalid/").send()));
    for send in sends.collect::<Vec<_>>() {
        send.await.unwrap().unwrap();
    }
    assert_eq!(bottom.most.load(Ordering::Relaxed), 2);
    assert_eq!(start.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_request_gives_back_what_it_held() {
    let limit = Arc::new(Semaphore::new(1));
    let client = ClientBuilder::new(Client::new())
        .with(LayerMiddleware::new(
            GlobalConcurrencyLimitLayer::with_semaphore(Arc::clone(&limit)),
        ))
        .with(Bottom::default())
        .build();

    let mut send = tokio_test::task::spawn(client.get("http://nobody.invalid/").send());
    assert!(send.poll().is_pending());
    assert_eq!(limit.available_permits(), 0);
    drop(send);
    assert_eq!(limit.available_permits(), 1);
}

/// Gives a request up after a moment, once, and sends it again.
struct Impatient;

#[async_trait::async_trait]
impl Middleware for Impatient {
    async fn handle(
        &self,
        request: reqwest::Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        let first = next.clone().run(request.try_clone().unwrap(), extensions);
        let moment = Duration::from_millis(10);
        assert!(timeout(moment, first).await.is_err());
        next.run(request, extensions).await
    }
}

#[tokio::test(start_paused = true)]
async fn extensions_survive_a_request_that_is_given_up() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let spy = {
        let seen = Arc::clone(&seen);
        MapRequestLayer::new(move |request: Request<RequestBody>| {
            let mark = request.extensions().get::<&str>().copied();
            seen.lock().unwrap().push(mark);
            request
        })
    };
    let client = ClientBuilder::new(Client::new())
        .with(Impatient)
        .with(LayerMiddleware::new(spy))
        .with(Bottom::default())
        .build();
    let request = client.get("http://nobody.invalid/").with_extension("mark");
    request.send().await.unwrap();
    assert_eq!(*seen.lock().unwrap(), [Some("mark"), Some("mark")]);
}

#[tokio::test]
async fn a_stack_of_layers_nobody_here_wrote_fits() {
    let addr = serve(Router::new().fallback(async || "hello")).await;
    let stack = ServiceBuilder::new()
        .layer(TraceLayer::new_for_http())
        .layer(GlobalConcurrencyLimitLayer::new(8))
        .layer(tower::timeout::TimeoutLayer::new(Duration::from_secs(60)))
        .layer(SetRequestHeaderLayer::overriding(
            HeaderName::from_static("x-layer"),
            HeaderValue::from_static("b"),
        ))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::GATEWAY_TIMEOUT,
            Duration::from_secs(60),
        ));
    let client = ClientBuilder::new(Client::new())
        .with(LayerMiddleware::new(stack))
        .build();

    let response = client.get(format!("http://{addr}/")).send().await.unwrap();
    assert_eq!(response.text().await.unwrap(), "hello");
}

/// Their futures borrow what is below them, and so the client, for as long as a request takes.
#[tokio::test]
async fn layers_whose_futures_are_not_static_fit() {
    let addr = serve(
        Router::new()
            .route("/old", get(async || Redirect::temporary("/new")))
            .route("/new", get(async || "hello")),
    )
    .await;
    let no_redirects = Client::builder().redirect(reqwest::redirect::Policy::none());
    let stack = ServiceBuilder::new()
        .layer(FollowRedirectLayer::new())
        .layer(LoadShedLayer::new())
        .layer(ConcurrencyLimitLayer::new(1))
        .layer(AndThenLayer::new(
            |mut response: Response<reqwest::Body>| {
                response.headers_mut().insert("x-then", 1.into());
                std::future::ready(Ok::<_, BoxError>(response))
            },
        ))
        .layer(AsyncFilterLayer::new(
            async |request: Request<RequestBody>| Ok::<_, BoxError>(request),
        ));
    let client = ClientBuilder::new(no_redirects.build().unwrap())
        .with(LayerMiddleware::new(stack))
        .build();

    let response = client
        .get(format!("http://{addr}/old"))
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["x-then"], "1");
    assert_eq!(response.text().await.unwrap(), "hello");
}
