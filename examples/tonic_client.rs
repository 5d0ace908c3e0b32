//! A tonic client whose calls are retried as the server asks, and go to a second channel when the first
//! has no room.
//!
//! The messages are written by hand, so no `protoc` is needed; generated clients take the same service.
//!
//! ```console
//! $ cargo run --release --example tonic_client
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use fallback_layer::{Candidate, FallbackLayer};
use http::uri::PathAndQuery;
use replay_body::{IntoBody, IntoBodyLayer, ReplayBody, ReplayLayer};
use retry_429_layer::Retry429Layer;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tonic::body::Body;
use tonic::client::{Grpc, GrpcService};
use tonic::server::NamedService;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tonic::{Code, Request, Response, Status};
use tonic_prost::ProstCodec;
use tonic_types::{ErrorDetails, StatusExt};
use tower::{Layer, Service, ServiceBuilder, service_fn};

const ASK: PathAndQuery = PathAndQuery::from_static("/example.Oracle/Ask");

#[derive(Clone, PartialEq, prost::Message)]
struct Question {
    #[prost(string, tag = "1")]
    text: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Answer {
    #[prost(string, tag = "1")]
    text: String,
}

/// A service that refuses so many calls before it answers, each time saying for how long.
#[derive(Clone)]
struct Oracle {
    name: &'static str,
    refusals: Arc<AtomicU32>,
    wait: Duration,
}

impl Oracle {
    fn ask(&self, question: &Question) -> Result<Response<Answer>, Status> {
        let left = |left: u32| left.checked_sub(1);
        if self
            .refusals
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, left)
            .is_ok()
        {
            println!("  {} refuses, for {:?}", self.name, self.wait);
            let details = ErrorDetails::with_retry_info(Some(self.wait));
            return Err(Status::with_error_details(
                Code::ResourceExhausted,
                "too many questions",
                details,
            ));
        }
        println!("  {} answers", self.name);
        Ok(Response::new(Answer {
            text: format!("{} says: {} Perhaps.", self.name, question.text),
        }))
    }
}

impl NamedService for Oracle {
    const NAME: &'static str = "example.Oracle";
}

impl Service<http::Request<Body>> for Oracle {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let oracle = self.clone();
        let ask = service_fn(move |question: Request<Question>| {
            let answer = oracle.ask(question.get_ref());
            async { answer }
        });
        Box::pin(async {
            Ok(tonic::server::Grpc::new(ProstCodec::default())
                .unary(ask, request)
                .await)
        })
    }
}

/// A channel that takes the bodies of the layers above it.
type Bottom = IntoBody<Channel, fn(ReplayBody<Body>) -> Body>;

/// Starts a server and connects to it.
async fn oracle(
    name: &'static str,
    refusals: u32,
    wait: Duration,
) -> Result<Bottom, Box<dyn Error>> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let addr = listener.local_addr()?;
    let oracle = Oracle {
        name,
        refusals: Arc::new(AtomicU32::new(refusals)),
        wait,
    };
    tokio::spawn(
        Server::builder()
            .add_service(oracle)
            .serve_with_incoming(TcpIncoming::from(listener)),
    );
    let channel = Channel::from_shared(format!("http://{addr}"))?.connect_lazy();
    Ok(IntoBodyLayer::new(Body::new as fn(_) -> _).layer(channel))
}

async fn ask<S>(service: S, text: &str) -> Result<(), Box<dyn Error>>
where
    S: GrpcService<
            Body,
            ResponseBody: http_body::Body<Data = bytes::Bytes, Error: Into<tower::BoxError>>
                              + Send
                              + 'static,
        >,
    S::Error: Error + 'static,
{
    let mut client = Grpc::new(service);
    let start = Instant::now();
    client.ready().await?;
    let question = Request::new(Question {
        text: text.to_owned(),
    });
    let answer: Answer = client
        .unary(question, ASK, ProstCodec::default())
        .await?
        .into_inner();
    println!(
        "  \"{}\" after {:.1} s",
        answer.text,
        start.elapsed().as_secs_f64()
    );
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    const CAP: usize = 1 << 20;

    println!("one channel, retried as the server asks");
    let retried = ServiceBuilder::new()
        .layer(ReplayLayer::new(CAP)) // a call's body streams; what was sent of it is kept
        .layer(Retry429Layer::new())
        .service(oracle("first", 2, Duration::from_millis(300)).await?);
    ask(retried, "Will it rain?").await?;

    println!("two channels, the second for when the first has no room");
    let first = oracle("first", 1, Duration::from_secs(60)).await?;
    let second = oracle("second", 0, Duration::ZERO).await?;
    let either = FallbackLayer::new([Candidate::named("first")])
        .layer(Retry429Layer::new().layer(first))
        .or(
            Candidate::named("second"),
            Retry429Layer::new().layer(second),
        );
    ask(ReplayLayer::new(CAP).layer(either), "Will it snow?").await
}
