//! tonic: a channel below the layers, unary calls and streams; and the layers on a server of tonic's.

use ::tonic::body::Body;
use ::tonic::client::{Grpc, GrpcService};
use ::tonic::transport::server::TcpConnectInfo;
use ::tonic::transport::{Channel, Server};
use ::tonic::{Code, Request, Status};
use bytes::Bytes;
use futures_util::StreamExt;
use http_body::Body as HttpBody;
use rate_limit_layer::inbound::{InboundLayer, Rate};
use replay_body::{IntoBody, IntoBodyLayer, ReplayBody, ReplayLayer, ReplayService};
use tower::{BoxError, Layer, ServiceBuilder};

use crate::grpc::{self, CHAT, Echo, REPEAT, Raw, UNARY, messages};
use crate::layers::{falling_back, limiter, pacing, retrying, rotating, stack};

const CAP: usize = 1 << 20;

/// A channel that takes the bodies of our layers.
type Bottom = IntoBody<Channel, fn(ReplayBody<Body>) -> Body>;

/// A client of `echo` with `layer` around its channel.
async fn client<L>(layer: L, echo: &Echo) -> Grpc<ReplayService<L::Service>>
where
    L: Layer<Bottom>,
{
    let addr = grpc::serve(echo.clone()).await;
    let channel = Channel::from_shared(format!("http://{addr}"))
        .unwrap()
        .connect_lazy();
    let into: fn(ReplayBody<Body>) -> Body = Body::new;
    let service = layer.layer(IntoBodyLayer::new(into).layer(channel));
    Grpc::new(ReplayLayer::new(CAP).layer(service))
}

async fn unary<S>(client: &mut Grpc<S>) -> Result<Bytes, Status>
where
    S: GrpcService<Body, Error: Into<BoxError>>,
    S::ResponseBody: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    client
        .ready()
        .await
        .map_err(|error| Status::from_error(error.into()))?;
    let message = Request::new(Bytes::from_static(b"hello"));
    client
        .unary(message, UNARY, Raw)
        .await
        .map(::tonic::Response::into_inner)
}

/// A stream from the server arrives, with the status in its trailers; a stream both ways is not held
/// up: the server speaks before anything is sent, and each message is answered before the next is.
async fn streams<S>(client: &mut Grpc<S>)
where
    S: GrpcService<Body, Error: Into<BoxError>>,
    S::ResponseBody: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    client.ready().await.map_err(Into::into).unwrap();
    let message = Request::new(Bytes::from_static(b"again"));
    let stream = client
        .server_streaming(message, REPEAT, Raw)
        .await
        .unwrap()
        .into_inner();
    let (got, status): (Vec<_>, Vec<_>) = stream
        .collect::<Vec<_>>()
        .await
        .into_iter()
        .partition(Result::is_ok);
    assert_eq!(got.len(), 3);
    assert_eq!(
        status.first().unwrap().as_ref().unwrap_err().code(),
        Code::DataLoss
    );

    client.ready().await.map_err(Into::into).unwrap();
    let (send, stream) = messages();
    let mut answers = client
        .streaming(Request::new(stream), CHAT, Raw)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answers.message().await.unwrap().unwrap(), "go on");
    for _ in 0..100 {
        send.send(Bytes::from_static(b"next")).unwrap();
        assert_eq!(answers.message().await.unwrap().unwrap(), "next");
    }
    drop(send);
    assert_eq!(answers.message().await.unwrap(), None);
}

#[tokio::test]
async fn each_layer_alone() {
    macro_rules! works {
        ($layer:expr) => {{
            let mut client = client($layer, &Echo::default()).await;
            assert_eq!(unary(&mut client).await.unwrap(), "hello");
            streams(&mut client).await;
        }};
    }
    works!(pacing(&limiter()));
    works!(rotating(None));
    works!(retrying());
    works!(falling_back());
}

#[tokio::test]
async fn stacked() {
    let echo = Echo::refusing(2);
    let mut client = client(stack(), &echo).await;
    assert_eq!(unary(&mut client).await.unwrap(), "hello");
    assert_eq!(echo.calls(), 3);
    streams(&mut client).await;
}

#[tokio::test]
async fn a_refusal_is_retried_by_retry_alone_and_passed_on_without() {
    let echo = Echo::refusing(1);
    let mut with = client(retrying(), &echo).await;
    assert_eq!(unary(&mut with).await.unwrap(), "hello");
    assert_eq!(echo.calls(), 2);

    let echo = Echo::refusing(1);
    let mut without = client(pacing(&limiter()), &echo).await;
    let status = unary(&mut without).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.message(), "too many calls");
    let details = ::tonic_types::StatusExt::get_details_retry_info(&status);
    assert!(details.is_some(), "what the server said arrives whole");
    assert_eq!(echo.calls(), 1);
}

/// A client of `$echo` without layers, whose server has `$layer` around its services.
macro_rules! server_with {
    ($layer:expr, $echo:expr) => {{
        let layers = ServiceBuilder::new()
            .layer(ReplayLayer::new(CAP))
            .layer($layer)
            .layer(IntoBodyLayer::new(Body::new));
        let (addr, incoming) = grpc::listen().await;
        let server = Server::builder().layer(layers).add_service($echo);
        tokio::spawn(server.serve_with_incoming(incoming));
        let channel = Channel::from_shared(format!("http://{addr}")).unwrap();
        Grpc::new(channel.connect_lazy())
    }};
}

#[tokio::test]
async fn each_layer_alone_on_a_server() {
    macro_rules! works {
        ($layer:expr) => {{
            let mut client = server_with!($layer, Echo::default());
            assert_eq!(unary(&mut client).await.unwrap(), "hello");
            streams(&mut client).await;
        }};
    }
    works!(pacing(&limiter()));
    works!(rotating(None));
    works!(retrying());
    works!(falling_back());
}

#[tokio::test]
async fn stacked_on_a_server() {
    let echo = Echo::refusing(1);
    let mut client = server_with!(stack().into_inner(), echo.clone());
    assert_eq!(unary(&mut client).await.unwrap(), "hello");
    assert_eq!(echo.calls(), 2);
    streams(&mut client).await;
}

#[tokio::test]
async fn a_server_limits_its_callers() {
    let by_address = |request: &http::Request<Body>| {
        let peer = request.extensions().get::<TcpConnectInfo>()?;
        Some(peer.remote_addr()?.ip())
    };
    let (addr, incoming) = grpc::listen().await;
    let echo = Echo::default();
    let server = Server::builder()
        .layer(InboundLayer::new(Rate::per_minute(4), by_address))
        .add_service(echo.clone());
    tokio::spawn(server.serve_with_incoming(incoming));
    let channel = Channel::from_shared(format!("http://{addr}")).unwrap();
    let mut client = Grpc::new(channel.connect_lazy());

    // A stream is one call, and what was let in is not touched.
    streams(&mut client).await;
    assert_eq!(unary(&mut client).await.unwrap(), "hello");
    assert_eq!(unary(&mut client).await.unwrap(), "hello");
    let refused = unary(&mut client).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    let pushback = refused.metadata().get("grpc-retry-pushback-ms").unwrap();
    let pushback: u32 = pushback.to_str().unwrap().parse().unwrap();
    assert!((1..=15_000).contains(&pushback), "{pushback} ms");
    assert_eq!(echo.calls(), 4);
}
