//! reqwest, and reqwest-middleware, through the bridge.

use std::time::Duration;

use ::axum::Router;
use ::axum::response::Redirect;
use ::axum::routing::post;
use model_studio_sim::Simulator;
use reqwest::{Client, StatusCode};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use reqwest_tower_bridge::{ClientService, LayerMiddleware, NextLayer};
use throttle_signal::Trail;
use tower::{Layer, ServiceBuilder};
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;

use crate::axum::serve;
use crate::hyper::answers;
use crate::layers::{falling_back, limiter, pacing, retrying, rotating, stack};
use crate::studio::{body, chat, check, studio};

const MINUTE: Duration = Duration::from_secs(60);

fn bridged(layer: impl for<'a> NextLayer<'a> + Send + Sync + 'static) -> ClientWithMiddleware {
    ClientBuilder::new(Client::new())
        .with(LayerMiddleware::new(layer))
        .build()
}

async fn ask(client: &ClientWithMiddleware, studio: &Simulator) -> reqwest::Response {
    let url = format!("{}/chat/completions", studio.base_url());
    let request = client.post(url).bearer_auth("sk-a1").body(body(false));
    request
        .header("content-type", "application/json")
        .send()
        .await
        .unwrap()
}

async fn answered(client: ClientWithMiddleware, studio: &Simulator) {
    let answer = ask(&client, studio).await;
    assert!(answer.url().path().ends_with("/chat/completions"));
    check(answer.status(), &answer.bytes().await.unwrap());
}

#[tokio::test]
async fn each_layer_alone_as_middleware() {
    let studio = studio(0.0).await;
    answered(bridged(pacing(&limiter())), &studio).await;
    answered(bridged(rotating(None)), &studio).await;
    answered(bridged(retrying()), &studio).await;
    answered(bridged(falling_back()), &studio).await;
}

#[tokio::test]
async fn stacked_as_middleware() {
    let studio = studio(0.2).await;
    let client = bridged(stack());
    let mut attempts = 0;
    for _ in 0..20 {
        let answer = ask(&client, &studio).await;
        attempts += answer
            .extensions()
            .get::<Trail>()
            .map_or(1, |trail| trail.attempts);
        check(answer.status(), &answer.bytes().await.unwrap());
    }
    let ledger = studio.ledger();
    assert_eq!(ledger.requests(), 20);
    assert_eq!(u64::from(attempts), ledger.requests() + ledger.refusals());
}

#[tokio::test]
async fn each_layer_in_the_chain_of_its_own() {
    let studio = studio(0.2).await;
    let limiter = limiter();
    let client = ClientBuilder::new(Client::new())
        .with(LayerMiddleware::new(falling_back()))
        .with(LayerMiddleware::new(retrying()))
        .with(LayerMiddleware::new(rotating(Some(&limiter))))
        .with(LayerMiddleware::new(pacing(&limiter)))
        .build();
    for _ in 0..20 {
        let answer = ask(&client, &studio).await;
        check(answer.status(), &answer.bytes().await.unwrap());
    }
}

#[tokio::test]
async fn each_layer_alone_over_the_client() {
    let studio = studio(0.0).await;
    let client = || ClientService::new(Client::new());
    let chats = || vec![chat(&studio), chat(&studio)];
    answers(pacing(&limiter()).layer(client()), chats()).await;
    answers(rotating(None).layer(client()), chats()).await;
    answers(retrying().layer(client()), chats()).await;
    answers(falling_back().layer(client()), chats()).await;
}

#[tokio::test]
async fn stacked_over_either_client() {
    let studio = studio(0.2).await;
    let chats = || (0..10).map(|_| chat(&studio)).collect();
    answers(stack().service(ClientService::new(Client::new())), chats()).await;
    let middleware = ClientBuilder::new(Client::new()).build();
    answers(stack().service(ClientService::new(middleware)), chats()).await;
}

/// A 307 takes the body along through all of them.
#[tokio::test]
async fn a_redirect_below_a_layer_is_followed_with_the_body() {
    let router = Router::new()
        .route("/old", post(async || Redirect::temporary("/new")))
        .route("/new", post(async |body: String| body));
    let old = format!("{}/old", serve(router).await);
    macro_rules! follows {
        ($layer:expr) => {{
            let request = bridged($layer).post(&old).body(body(false));
            let request = request.header("content-type", "application/json");
            let answer = request.send().await.unwrap();
            assert_eq!(answer.url().path(), "/new");
            assert_eq!(answer.text().await.unwrap(), body(false));
        }};
    }
    follows!(pacing(&limiter()));
    follows!(rotating(None));
    follows!(retrying());
    follows!(falling_back());
    follows!(stack());
}

#[tokio::test]
async fn between_layers_of_tower_http_in_the_chain() {
    let studio = studio(0.2).await;
    let layers = ServiceBuilder::new()
        .layer(TraceLayer::new_for_http())
        .layer(TimeoutLayer::with_status_code(
            StatusCode::GATEWAY_TIMEOUT,
            MINUTE,
        ))
        .layer(stack().into_inner())
        .layer(TraceLayer::new_for_http())
        .layer(TimeoutLayer::with_status_code(
            StatusCode::GATEWAY_TIMEOUT,
            MINUTE,
        ));
    let client = bridged(layers);
    for _ in 0..10 {
        let answer = ask(&client, &studio).await;
        check(answer.status(), &answer.bytes().await.unwrap());
    }
}
