//! Errors say what they would have said without the bridge.

use std::time::Duration;

use axum::Router;
use http::{Extensions, Request, StatusCode};
use reqwest::Client;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Error, Middleware, Next};
use reqwest_tower_bridge::{LayerFailed, LayerMiddleware, NextLayer, RequestBody};
use retry_429_layer::Retry429Layer;
use tower::ServiceBuilder;
use tower::layer::util::Identity;
use tower::timeout::TimeoutLayer;
use tower::timeout::error::Elapsed;
use tower::util::{MapErrLayer, MapRequestLayer};

use crate::server::{nobody, serve};

fn client(layer: impl for<'a> NextLayer<'a> + Send + Sync + 'static) -> ClientWithMiddleware {
    ClientBuilder::new(Client::new())
        .with(LayerMiddleware::new(layer))
        .build()
}

#[tokio::test]
async fn a_refused_connection_is_one() {
    let url = format!("http://{}/", nobody().await);
    let error = client(Identity::new()).get(&url).send().await.unwrap_err();
    assert!(error.is_connect());
    assert_eq!(error.url().unwrap().as_str(), url);
}

#[tokio::test]
async fn an_error_that_a_layer_boxed_is_unboxed() {
    let url = format!("http://{}/", nobody().await);
    // tower's timeout makes every error a box.
    let boxing = TimeoutLayer::new(Duration::from_secs(60));
    assert!(
        client(boxing)
            .get(&url)
            .send()
            .await
            .unwrap_err()
            .is_connect()
    );

    let bare = MapErrLayer::new(|error: Error| match error {
        Error::Reqwest(error) => error,
        Error::Middleware(_) => unreachable!(),
    });
    assert!(
        client(bare)
            .get(&url)
            .send()
            .await
            .unwrap_err()
            .is_connect()
    );
}

#[tokio::test(start_paused = true)]
async fn a_timeout_is_one() {
    let addr = serve(Router::new().fallback(async || std::future::pending::<()>().await)).await;
    let request = client(Identity::new()).get(format!("http://{addr}/"));
    let error = request
        .timeout(Duration::from_secs(1))
        .send()
        .await
        .unwrap_err();
    assert!(error.is_timeout());
}

#[tokio::test(start_paused = true)]
async fn an_error_of_a_layer_can_be_told_from_the_clients() {
    let addr = serve(Router::new().fallback(async || std::future::pending::<()>().await)).await;
    let layer = TimeoutLayer::new(Duration::from_secs(1));
    let error = client(layer)
        .get(format!("http://{addr}/"))
        .send()
        .await
        .unwrap_err();
    let Error::Middleware(error) = error else {
        panic!("{error}")
    };
    assert!(error.is::<LayerFailed>());
    assert!(error.root_cause().is::<Elapsed>());
}

#[tokio::test]
async fn a_uri_that_a_layer_spoiled_is_a_builder_error() {
    let spoil = MapRequestLayer::new(|mut request: Request<RequestBody>| {
        *request.uri_mut() = http::Uri::from_static("/no-host");
        request
    });
    let error = client(spoil)
        .get("http://127.0.0.1:9/")
        .send()
        .await
        .unwrap_err();
    assert!(error.is_builder());
}

/// As when middleware further down makes errors of statuses.
#[tokio::test]
async fn a_status_that_became_an_error_below_is_still_told() {
    struct Strict;

    #[async_trait::async_trait]
    impl Middleware for Strict {
        async fn handle(
            &self,
            request: reqwest::Request,
            extensions: &mut Extensions,
            next: Next<'_>,
        ) -> reqwest_middleware::Result<reqwest::Response> {
            let response = next.run(request, extensions).await?;
            Ok(response.error_for_status()?)
        }
    }

    let teapot = Router::new().fallback(async || StatusCode::IM_A_TEAPOT);
    let url = format!("http://{}/pot", serve(teapot).await);
    // Each on its own, and one that boxes errors.
    let layers = ServiceBuilder::new()
        .layer(TimeoutLayer::new(Duration::from_secs(60)))
        .layer(Retry429Layer::new());
    for client in [
        ClientBuilder::new(Client::new()).with(LayerMiddleware::new(Retry429Layer::new())),
        ClientBuilder::new(Client::new()).with(LayerMiddleware::new(layers)),
    ] {
        let client = client.with(Strict).build();
        let error = client.get(&url).send().await.unwrap_err();
        assert!(error.is_status());
        assert_eq!(error.status(), Some(StatusCode::IM_A_TEAPOT));
        assert_eq!(error.url().unwrap().path(), "/pot");
    }
}
