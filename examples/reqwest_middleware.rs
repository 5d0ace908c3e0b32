//! reqwest with middleware: one layer of ours in its chain, then three.
//!
//! The Model Studio here refuses every fifth request for no reason, and each account more than two a
//! second.
//!
//! ```console
//! $ cargo run --release --example reqwest_middleware
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::time::Duration;

use key_rotation_layer::{KeyPool, KeyRotationLayer};
use model_studio_sim::{Limits, Simulator};
use rate_limit_layer::{Limiter, Quota, RateLimitLayer};
use reqwest::{Client, StatusCode};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use reqwest_tower_bridge::LayerMiddleware;
use retry_429_layer::Retry429Layer;
use throttle_signal::{Profile, Reader, Trail};
use tower::ServiceBuilder;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let studio = Simulator::builder()
        .account("team", ["sk-team"])
        .account("spare", ["sk-spare"])
        .model("qwen3-max", Limits::per_minute(120).per_second(2))
        .refuse_at_random(0.2)
        .start()
        .await?;
    // On loopback, the host does not tell whose words a refusal is in.
    let reader = Reader::new().profile(Profile::named("model-studio").ok_or("no such profile")?);

    let retry = Retry429Layer::new().reader(reader.clone());
    let one = ClientBuilder::new(Client::new())
        .with(LayerMiddleware::new(retry.clone()))
        .build();
    println!("retry-429 alone");
    send(&one, &studio, 4).await?;

    let limiter = Limiter::builder()
        .model(
            "qwen3-max",
            Quota::new().requests_per_minute(120).requests_per_second(2),
        )
        .build();
    let pool = KeyPool::builder()
        .account("team", ["sk-team"])
        .account("spare", ["sk-spare"])
        .build()?;
    let three = ServiceBuilder::new()
        .layer(retry)
        .layer(KeyRotationLayer::new(pool).headroom(limiter.clone()))
        .layer(RateLimitLayer::new(limiter).reader(reader));
    let three = ClientBuilder::new(Client::new())
        .with(LayerMiddleware::new(three))
        .build();
    println!("retry-429, key-rotation and rate-limit");
    send(&three, &studio, 12).await
}

async fn send(
    client: &ClientWithMiddleware,
    studio: &Simulator,
    chats: u32,
) -> Result<(), Box<dyn Error>> {
    let url = format!("{}/chat/completions", studio.base_url());
    for number in 1..=chats {
        let body = format!(
            r#"{{"model":"qwen3-max","messages":[{{"role":"user","content":"Name river {number}."}}]}}"#
        );
        let answer = client
            .post(&url)
            .bearer_auth("sk-team")
            .header("content-type", "application/json")
            .timeout(Duration::from_secs(30)) // no layer waits past it
            .body(body)
            .send()
            .await?;
        let trail = answer
            .extensions()
            .get::<Trail>()
            .cloned()
            .unwrap_or_default();
        let account = trail
            .account
            .map_or_else(|| "-".to_owned(), |account| account.to_string());
        let waited = trail.waited.as_secs_f64();
        println!(
            "{number:>4}: {}, account {account}, sent {}x, held back {waited:.2} s",
            answer.status(),
            trail.attempts
        );
        if answer.status() != StatusCode::OK {
            return Err("a chat was not answered".into());
        }
    }
    Ok(())
}
