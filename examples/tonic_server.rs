//! A tonic server that limits each of its callers.
//!
//! A refusal is a status in the head of the response, without a message: `RESOURCE_EXHAUSTED`, with
//! `grpc-retry-pushback-ms` for clients that know it, as gRPC's own retries do. Streams that were let
//! in are not touched.
//!
//! The messages are written by hand, so no `protoc` is needed; generated servers take the same layer.
//!
//! ```console
//! $ cargo run --release --example tonic_server
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::convert::Infallible;
use std::error::Error;
use std::fmt::Debug;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use http::HeaderValue;
use http::uri::PathAndQuery;
use rate_limit_layer::inbound::{InboundLayer, Rate};
use replay_body::{IntoBodyLayer, ReplayLayer};
use retry_429_layer::Retry429Layer;
use tokio::net::TcpListener;
use tokio::time::sleep;
use tonic::body::Body;
use tonic::client::{Grpc, GrpcService};
use tonic::metadata::MetadataValue;
use tonic::server::NamedService;
use tonic::transport::server::{TcpConnectInfo, TcpIncoming};
use tonic::transport::{Channel, Server};
use tonic::{Code, Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::{BoxError, Service, ServiceBuilder, service_fn};

const ASK: PathAndQuery = PathAndQuery::from_static("/example.Oracle/Ask");
const MUSE: PathAndQuery = PathAndQuery::from_static("/example.Oracle/Muse");

/// One call in half a second, and five at once after a rest.
const RATE: Rate = Rate::per_second(2).burst(5);
const CALLS: u32 = 8;

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

/// Answers once, or in a stream of three.
#[derive(Clone)]
struct Oracle;

fn answer(question: &Question) -> Answer {
    Answer {
        text: format!("{} Perhaps.", question.text),
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
        let ask = service_fn(async |question: Request<Question>| {
            Ok::<_, Status>(Response::new(answer(question.get_ref())))
        });
        let muse = service_fn(async |question: Request<Question>| {
            let answers = vec![Ok::<_, Status>(answer(question.get_ref())); 3];
            Ok::<_, Status>(Response::new(stream::iter(answers)))
        });
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(ProstCodec::default());
            Ok(if request.uri().path() == MUSE.path() {
                grpc.server_streaming(muse, request).await
            } else {
                grpc.unary(ask, request).await
            })
        })
    }
}

/// Whom a call counts against.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Caller {
    Known(&'static str),
    // Not by the key: whoever makes up keys must not get a new rate with each.
    At(IpAddr),
}

fn caller(request: &http::Request<Body>) -> Option<Caller> {
    let key = request.headers().get("x-api-key");
    match key.map(HeaderValue::as_bytes) {
        Some(b"key-of-ann") => return Some(Caller::Known("ann")),
        Some(b"key-of-ben") => return Some(Caller::Known("ben")),
        Some(b"key-of-cem") => return Some(Caller::Known("cem")),
        _ => {}
    }
    let peer = request
        .extensions()
        .get::<TcpConnectInfo>()?
        .remote_addr()?;
    Some(Caller::At(peer.ip()))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    const CAP: usize = 1 << 20;

    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let addr = listener.local_addr()?;
    let server = Server::builder()
        .layer(InboundLayer::new(RATE, caller)) // the one line more
        .add_service(Oracle);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    let channel = Channel::from_shared(format!("http://{addr}"))?.connect_lazy();

    let at_once = Duration::ZERO;
    println!("{CALLS} calls from everyone; two a second are allowed, five at once");
    let answers = calls(&channel, "key-of-ann", at_once).await?;
    show("ann, all at once", &answers);
    if let Some(refusal) = answers.iter().find_map(|answer| answer.as_ref().err()) {
        let pushback = refusal.metadata().get("grpc-retry-pushback-ms");
        println!("    {:?}: {}", refusal.code(), refusal.message());
        println!(
            "    grpc-retry-pushback-ms: {}",
            pushback.ok_or("none")?.to_str()?
        );
    }
    let pace = Duration::from_millis(500);
    let answers = calls(&channel, "key-of-ben", pace).await?;
    show("ben, two a second", &answers);

    // The layer on the other side reads what this one writes.
    let into: fn(_) -> Body = Body::new;
    let patient = ServiceBuilder::new()
        .layer(ReplayLayer::new(CAP))
        .layer(Retry429Layer::new())
        .layer(IntoBodyLayer::new(into))
        .service(channel.clone());
    let answers = calls(&patient, "key-of-cem", at_once).await?;
    show("cem, all at once, coming back when told", &answers);

    let answers = calls(&channel, "made-up", at_once).await?;
    show("a made-up key", &answers);

    sleep(pace).await;
    let mut client = Grpc::new(channel);
    client.ready().await?;
    let stream = client
        .server_streaming(question("key-of-ann"), MUSE, ProstCodec::default())
        .await?
        .into_inner();
    let answers: Vec<Result<Answer, Status>> = stream.collect().await;
    let whole = answers.iter().filter(|answer| answer.is_ok()).count();
    println!("{:>40}: one call, {whole} answers", "a stream");
    Ok(())
}

fn question(key: &'static str) -> Request<Question> {
    let mut question = Request::new(Question {
        text: "Will it rain?".to_owned(),
    });
    let key = MetadataValue::from_static(key);
    question.metadata_mut().insert("x-api-key", key);
    question
}

/// Calls with `key`, one call each `pace`.
async fn calls<S>(
    channel: &S,
    key: &'static str,
    pace: Duration,
) -> Result<Vec<Result<Answer, Status>>, Box<dyn Error>>
where
    S: GrpcService<Body, Error: Debug> + Clone,
    S::ResponseBody: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let calls = (0..CALLS).map(async |call| {
        sleep(pace * call).await;
        let mut client = Grpc::new(channel.clone());
        let ready = client.ready().await;
        ready.map_err(|error| format!("{error:?}"))?;
        let answer = client.unary(question(key), ASK, ProstCodec::default());
        match answer.await {
            Ok(answer) => Ok(Ok(answer.into_inner())),
            Err(status) if status.code() == Code::ResourceExhausted => Ok(Err(status)),
            Err(status) => Err(status.into()),
        }
    });
    join_all(calls).await.into_iter().collect()
}

fn show(who: &str, answers: &[Result<Answer, Status>]) {
    let answered = answers.iter().filter(|answer| answer.is_ok()).count();
    let refused = answers.len() - answered;
    println!("{who:>40}: {answered} answered, {refused} refused");
}
