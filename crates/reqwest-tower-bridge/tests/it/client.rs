//! Clients of reqwest as services of `http` messages, and stacks as services of reqwest's.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::extract::Request as Incoming;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, Version};
use http_body_util::Full;
use reqwest::Client;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use reqwest_tower_bridge::{ClientService, RequestBody, StackLayer, StackService};
use throttle_signal::Deadline;
use tokio::time::Instant;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_http::set_header::SetRequestHeaderLayer;

use crate::server::{nobody, serve};

async fn echo(request: Incoming) -> String {
    let header = request.headers().get("x-layer").cloned();
    let body = axum::body::to_bytes(request.into_body(), 1 << 10)
        .await
        .unwrap();
    format!("{header:?} {body:?}")
}

fn hello(uri: String) -> Request<Full<Bytes>> {
    Request::post(uri).body(Full::from("hello")).unwrap()
}

#[tokio::test]
async fn both_clients_are_services_of_http_messages() {
    async fn send<C>(client: C, uri: String) -> String
    where
        C: Service<
                Request<Full<Bytes>>,
                Response = Response<reqwest::Body>,
                Error: std::fmt::Debug,
            >,
    {
        let layer = SetRequestHeaderLayer::overriding(
            HeaderName::from_static("x-layer"),
            HeaderValue::from_static("b"),
        );
        let stack = ServiceBuilder::new().layer(layer).service(client);
        let response = stack.oneshot(hello(uri)).await.unwrap();
        reqwest::Response::from(response).text().await.unwrap()
    }

    let uri = format!("http://{}/", serve(Router::new().fallback(echo)).await);
    let plain = Client::new();
    let middle: ClientWithMiddleware = ClientBuilder::new(plain.clone()).build();
    let said = r#"Some("b") b"hello""#;
    assert_eq!(send(ClientService::new(plain), uri.clone()).await, said);
    assert_eq!(send(ClientService::new(middle), uri).await, said);
}

#[tokio::test]
async fn errors_are_the_clients_own() {
    let uri = format!("http://{}/", nobody().await);
    let plain = ClientService::new(Client::new());
    let error: reqwest::Error = plain.oneshot(hello(uri.clone())).await.unwrap_err();
    assert!(error.is_connect());

    let middle = ClientService::new(ClientBuilder::new(Client::new()).build());
    let error: reqwest_middleware::Error = middle.oneshot(hello(uri)).await.unwrap_err();
    assert!(error.is_connect());

    let plain = ClientService::new(Client::new());
    assert!(
        plain
            .oneshot(hello("/no-host".to_owned()))
            .await
            .unwrap_err()
            .is_builder()
    );
}

#[tokio::test]
async fn a_stack_goes_where_a_client_goes() {
    type Boxed = BoxCloneSyncService<reqwest::Request, reqwest::Response, BoxError>;

    let layer = SetRequestHeaderLayer::overriding(
        HeaderName::from_static("x-layer"),
        HeaderValue::from_static("b"),
    );
    let stack = ServiceBuilder::new()
        .layer(StackLayer::new())
        .layer(layer)
        .service(ClientService::new(Client::new()));
    let boxed: Boxed = BoxCloneSyncService::new(stack.map_err(BoxError::from));

    let addr = serve(Router::new().fallback(echo)).await;
    let request = Client::new()
        .post(format!("http://{addr}/p"))
        .body("hello")
        .build()
        .unwrap();
    let response = boxed.oneshot(request).await.unwrap();
    assert_eq!(response.url().as_str(), format!("http://{addr}/p"));
    assert_eq!(response.remote_addr(), Some(addr));
    assert_eq!(response.text().await.unwrap(), r#"Some("b") b"hello""#);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_and_a_version_survive_the_way_into_a_stack() {
    let upstream = service_fn(async |request: Request<RequestBody>| {
        let deadline = request.extensions().get();
        let left = deadline.map(|Deadline(at)| *at - Instant::now());
        let said = format!("{:?} {left:?}", request.version());
        Ok::<_, BoxError>(Response::new(Full::new(Bytes::from(said))))
    });
    let request = Client::new()
        .get("http://nobody.invalid/")
        .timeout(Duration::from_secs(7))
        .version(Version::HTTP_2)
        .build()
        .unwrap();
    let response = StackService::new(upstream).oneshot(request).await.unwrap();
    assert_eq!(response.text().await.unwrap(), "HTTP/2.0 Some(7s)");
}

#[tokio::test]
async fn an_answer_of_the_stack_has_the_url_of_the_request() {
    let upstream = service_fn(async |_: Request<RequestBody>| {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("made here"))))
    });
    let stack = StackService::new(upstream.map_err(|never| -> BoxError { match never {} }));
    let request = Client::new()
        .get("http://nobody.invalid/x")
        .build()
        .unwrap();
    let response = stack.oneshot(request).await.unwrap();
    assert_eq!(response.url().as_str(), "http://nobody.invalid/x");
    assert_eq!(response.text().await.unwrap(), "made here");
}
