//! Redirects are followed by the client, below the layers.

use axum::Router;
use axum::response::Redirect;
use axum::routing::post;
use reqwest::{Client, StatusCode};
use reqwest_middleware::ClientBuilder;
use reqwest_tower_bridge::{ClientService, LayerMiddleware};
use tower::ServiceExt;
use tower::layer::util::Identity;

use crate::server::serve;

fn router() -> Router {
    Router::new()
        .route("/old", post(async || Redirect::temporary("/new"))) // a 307
        .route("/new", post(async |body: String| body))
}

#[tokio::test]
async fn a_307_takes_a_post_and_its_body_along() {
    let addr = serve(router()).await;
    let client = ClientBuilder::new(Client::new())
        .with(LayerMiddleware::new(Identity::new()))
        .build();
    let request = client.post(format!("http://{addr}/old")).body("hello");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.url().path(), "/new");
    assert_eq!(response.text().await.unwrap(), "hello");
}

#[tokio::test]
async fn a_307_takes_a_full_body_along_below_a_stack() {
    let addr = serve(router()).await;
    let service = ClientService::new(Client::new());
    let body = http_body_util::Full::new(bytes::Bytes::from("hello"));
    let request = http::Request::post(format!("http://{addr}/old"))
        .body(body)
        .unwrap();
    let response = reqwest::Response::from(service.oneshot(request).await.unwrap());
    assert_eq!(response.url().path(), "/new");
    assert_eq!(response.text().await.unwrap(), "hello");
}
