//! async-openai on the whole stack, with answers that stream.
//!
//! Its own retries give way to the stack: what `with_http_service` is given sends every request.
//!
//! ```console
//! $ cargo run --release --example async_openai
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::io::{Write, stdout};

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use async_openai::types::chat::{
    ChatCompletionRequestUserMessage, CreateChatCompletionRequest, CreateChatCompletionRequestArgs,
};
use fallback_layer::{Candidate, FallbackLayer};
use futures_util::StreamExt;
use key_rotation_layer::{KeyPool, KeyRotationLayer};
use model_studio_sim::{Limits, Simulator};
use rate_limit_layer::{Limiter, Quota, RateLimitLayer};
use reqwest_tower_bridge::{ClientService, StackLayer};
use retry_429_layer::Retry429Layer;
use throttle_signal::{Profile, Reader};
use tower::{ServiceBuilder, ServiceExt, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let studio = Simulator::builder()
        .account("ours", ["sk-1"])
        .model("qwen3-max", Limits::per_minute(600).per_second(10))
        .model("qwen-plus", Limits::per_minute(600).per_second(10))
        .refuse_at_random(0.2)
        .start()
        .await?;

    let quota = Quota::new()
        .requests_per_minute(600)
        .requests_per_second(10);
    let limiter = Limiter::builder().default_quota(quota).build();
    let pool = KeyPool::builder().account("ours", ["sk-1"]).build()?;
    // On loopback, the host does not tell whose words a refusal is in.
    let reader = Reader::new().profile(Profile::named("model-studio").ok_or("no such profile")?);
    let stack = ServiceBuilder::new()
        .layer(StackLayer::new()) // takes reqwest's requests, gives its responses
        .layer(FallbackLayer::new([
            Candidate::model("qwen3-max"),
            Candidate::model("qwen-plus"),
        ]))
        .layer(Retry429Layer::new())
        .layer(KeyRotationLayer::new(pool).headroom(limiter.clone()))
        .layer(RateLimitLayer::new(limiter).reader(reader))
        .service(ClientService::new(reqwest::Client::new()));
    // The client gives no request but a factory of requests; we need one of it.
    let http = service_fn(move |factory: HttpRequestFactory| {
        let stack = stack.clone();
        async move { Ok::<_, OpenAIError>(stack.oneshot(factory.build().await?).await?) }
    });

    let config = OpenAIConfig::new()
        .with_api_base(studio.base_url())
        .with_api_key("from the pool");
    let client = Client::with_config(config).with_http_service(http);

    let answer = client.chat().create(question("Name a river.")?).await?;
    let usage = answer.usage.ok_or("no usage")?;
    println!("whole: {} tokens from {}", usage.total_tokens, answer.model);

    let mut streams = 0;
    for number in 1..=8 {
        let mut stream = client
            .chat()
            .create_stream(question(&format!("Name river {number}."))?)
            .await?;
        print!("{number}: ");
        while let Some(chunk) = stream.next().await {
            for choice in chunk?.choices {
                print!("{}", choice.delta.content.unwrap_or_default());
            }
            stdout().flush()?;
        }
        println!();
        streams += 1;
    }
    let refused = studio.ledger().refusals();
    println!("{streams} streams to their end; {refused} refusals on the way");
    Ok(())
}

fn question(text: &str) -> Result<CreateChatCompletionRequest, OpenAIError> {
    CreateChatCompletionRequestArgs::default()
        .model("qwen3-max")
        .max_tokens(24_u32)
        .messages([ChatCompletionRequestUserMessage::from(text).into()])
        .build()
}
