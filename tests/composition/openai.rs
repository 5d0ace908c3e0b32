//! async-openai, sending through what `with_http_service` is given.

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use async_openai::types::chat::{
    ChatCompletionRequestUserMessage, CreateChatCompletionRequest, CreateChatCompletionRequestArgs,
};
use bytes::Bytes;
use futures_util::StreamExt;
use http::{Request, Response};
use http_body::Body;
use model_studio_sim::Simulator;
use reqwest_tower_bridge::{ClientService, RequestBody, StackLayer};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::layers::{MODEL, falling_back, limiter, pacing, retrying, rotating, stack};
use crate::studio::studio;

type Bottom = ClientService<reqwest::Client>;

/// A client of the simulator's that sends through `layer`.
fn client<L, R>(studio: &Simulator, layer: &L) -> Client<OpenAIConfig>
where
    L: Layer<Bottom>,
    L::Service: Service<Request<RequestBody>, Response = Response<R>, Error = reqwest::Error, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
    R: Body<Data = Bytes, Error: Into<tower::BoxError>> + Send + Sync + 'static,
{
    let stack = StackLayer::new().layer(layer.layer(ClientService::new(reqwest::Client::new())));
    let http = service_fn(move |factory: HttpRequestFactory| {
        let stack = stack.clone();
        async move { Ok::<_, OpenAIError>(stack.oneshot(factory.build().await?).await?) }
    });
    let config = OpenAIConfig::new()
        .with_api_base(studio.base_url())
        .with_api_key("sk-a1");
    Client::with_config(config).with_http_service(http)
}

fn question() -> CreateChatCompletionRequest {
    CreateChatCompletionRequestArgs::default()
        .model(MODEL)
        .messages([ChatCompletionRequestUserMessage::from("hello").into()])
        .build()
        .unwrap()
}

/// Asks for an answer as a whole and for one in parts.
async fn answers(client: Client<OpenAIConfig>) {
    let whole = client.chat().create(question()).await.unwrap();
    assert!(whole.usage.is_some());

    let mut stream = client.chat().create_stream(question()).await.unwrap();
    let mut text = String::new();
    while let Some(chunk) = stream.next().await {
        for choice in chunk.unwrap().choices {
            text += choice.delta.content.as_deref().unwrap_or_default();
        }
    }
    assert_eq!(
        Some(text),
        whole.choices.into_iter().next().unwrap().message.content
    );
}

#[tokio::test]
async fn each_layer_alone() {
    let studio = studio(0.0).await;
    answers(client(&studio, &pacing(&limiter()))).await;
    answers(client(&studio, &rotating(None))).await;
    answers(client(&studio, &retrying())).await;
    answers(client(&studio, &falling_back())).await;
}

#[tokio::test]
async fn stacked() {
    let studio = studio(0.2).await;
    let client = client(&studio, &stack());
    for _ in 0..5 {
        answers(client.clone()).await;
    }
}
