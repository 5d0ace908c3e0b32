//! One layer, around the client that is there: pacing.
//!
//! Forty chats are started at once, at a Model Studio that takes ten a second: first as they come,
//! then through [`RateLimitLayer`].
//!
//! ```console
//! $ cargo run --release --example one_layer_hyper
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::fmt::Debug;

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use model_studio_sim::{Limits, Simulator};
use rate_limit_layer::{Limiter, Quota, RateLimitLayer};
use tokio::time::Instant;
use tower::{Service, ServiceBuilder, ServiceExt};

const CHATS: usize = 40;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let studio = Simulator::builder()
        .account("ours", ["sk-1"])
        .model("qwen3-max", Limits::per_minute(600).per_second(10))
        .start()
        .await?;
    let client = Client::builder(TokioExecutor::new()).build_http();

    println!("{CHATS} chats, ten a second allowed");
    send("as they come", client.clone(), &studio).await?;

    // The one line more.
    let quota = Quota::new()
        .requests_per_minute(600)
        .requests_per_second(10);
    let limiter = Limiter::builder().model("qwen3-max", quota).build();
    let paced = ServiceBuilder::new()
        .layer(RateLimitLayer::new(limiter))
        .service(client);

    tokio::time::sleep(std::time::Duration::from_secs(1)).await; // until the first second is forgotten
    send("paced", paced, &studio).await
}

async fn send<S, R>(name: &str, service: S, studio: &Simulator) -> Result<(), Box<dyn Error>>
where
    S: Service<Request<Full<Bytes>>, Response = Response<R>, Error: Debug> + Clone,
{
    let url = format!("{}/chat/completions", studio.base_url());
    let start = Instant::now();
    let sent = (0..CHATS).map(|number| {
        let body = format!(r#"{{"model":"qwen3-max","messages":[{{"role":"user","content":"Name river {number}."}}]}}"#);
        let request = Request::post(&url)
            .header("authorization", "Bearer sk-1")
            .header("content-type", "application/json")
            .body(Full::from(body));
        let service = service.clone();
        async move { service.oneshot(request?).await.map_err(|error| format!("{error:?}").into()) }
    });
    let answers: Result<Vec<_>, Box<dyn Error>> = join_all(sent).await.into_iter().collect();
    let ok = answers?
        .iter()
        .filter(|answer| answer.status() == StatusCode::OK)
        .count();
    println!(
        "{name:>14}: {ok:>2} answered, {:>2} refused, {:.1} s",
        CHATS - ok,
        start.elapsed().as_secs_f64()
    );
    Ok(())
}
