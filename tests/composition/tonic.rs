//! tonic: a channel below the layers, unary calls and streams; and the layers on a server of tonic's.

use ::tonic::body::Body;
use ::tonic::client::{Grpc, GrpcService};
use ::tonic::transport::{Channel, Server};
use ::tonic::{Code, Request, Status};
use bytes::Bytes;
use futures_util::StreamExt;
use http_body::Body as HttpBody;
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
/// up: each message is answered before the next is sent.
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
    send.send(Bytes::from_static(b"first")).unwrap();
    let mut answers = client
        .streaming(Request::new(stream), CHAT, Raw)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answers.message().await.unwrap().unwrap(), "first");
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

#[tokio::test]
async fn on_a_server() {
    let echo = Echo::refusing(1);
    let layers = ServiceBuilder::new()
        .layer(ReplayLayer::new(CAP))
        .layer(retrying())
        .layer(pacing(&limiter()))
        .layer(IntoBodyLayer::new(Body::new));
    let (addr, incoming) = grpc::listen().await;
    let server = Server::builder().layer(layers).add_service(echo.clone());
    tokio::spawn(server.serve_with_incoming(incoming));

    let channel = Channel::from_shared(format!("http://{addr}"))
        .unwrap()
        .connect_lazy();
    let mut client = Grpc::new(channel);
    assert_eq!(unary(&mut client).await.unwrap(), "hello");
    assert_eq!(echo.calls(), 2);
    streams(&mut client).await;
}
