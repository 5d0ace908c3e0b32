//! A gRPC service without protobuf: messages are bytes, and the server sends them back.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use futures_util::{Stream, StreamExt, stream};
use http::uri::PathAndQuery;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::NamedService;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_types::{ErrorDetails, StatusExt};
use tower::{Service, service_fn};

pub(crate) const UNARY: PathAndQuery = PathAndQuery::from_static("/echo.Echo/Unary");
pub(crate) const REPEAT: PathAndQuery = PathAndQuery::from_static("/echo.Echo/Repeat");
pub(crate) const CHAT: PathAndQuery = PathAndQuery::from_static("/echo.Echo/Chat");

/// Messages as they are on the wire.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

/// Sends back what it is sent, after refusing so many calls with a `RetryInfo`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Echo {
    refusals: Arc<AtomicU32>,
    calls: Arc<AtomicU32>,
}

impl Echo {
    pub(crate) fn refusing(refusals: u32) -> Self {
        Self {
            refusals: Arc::new(AtomicU32::new(refusals)),
            ..Self::default()
        }
    }

    pub(crate) fn calls(&self) -> u32 {
        self.calls.load(Ordering::Relaxed)
    }

    fn admit(&self) -> Result<(), Status> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let left = |left: u32| left.checked_sub(1);
        match self
            .refusals
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, left)
        {
            Ok(_) => Err(exhausted(Duration::from_millis(20))),
            Err(_) => Ok(()),
        }
    }
}

fn exhausted(delay: Duration) -> Status {
    let details = ErrorDetails::with_retry_info(Some(delay));
    Status::with_error_details(Code::ResourceExhausted, "too many calls", details)
}

impl NamedService for Echo {
    const NAME: &'static str = "echo.Echo";
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let echo = self.clone();
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(Raw);
            let path = request.uri().path();
            Ok(if path == UNARY.path() {
                grpc.unary(service_fn(|request| unary(&echo, request)), request)
                    .await
            } else if path == REPEAT.path() {
                grpc.server_streaming(service_fn(|request| repeat(&echo, request)), request)
                    .await
            } else {
                grpc.streaming(service_fn(|request| chat(&echo, request)), request)
                    .await
            })
        })
    }
}

fn unary(
    echo: &Echo,
    request: Request<Bytes>,
) -> impl Future<Output = Result<Response<Bytes>, Status>> + use<> {
    let admitted = echo.admit();
    async move { admitted.map(|()| Response::new(request.into_inner())) }
}

/// Sends the message three times, and an error in the trailers.
fn repeat(
    echo: &Echo,
    request: Request<Bytes>,
) -> impl Future<Output = Result<Response<impl Stream<Item = Result<Bytes, Status>> + use<>>, Status>>
+ use<> {
    let admitted = echo.admit();
    async move {
        admitted?;
        let message = request.into_inner();
        let messages = (0..3).map(move |_| Ok(message.clone()));
        let end = [Err(Status::data_loss("that is all"))];
        Ok(Response::new(stream::iter(messages.chain(end))))
    }
}

/// Speaks first, and then sends each message back as it comes.
fn chat(
    echo: &Echo,
    request: Request<Streaming<Bytes>>,
) -> impl Future<Output = Result<Response<impl Stream<Item = Result<Bytes, Status>> + use<>>, Status>>
+ use<> {
    let admitted = echo.admit();
    async move {
        admitted?;
        let greeting = stream::iter([Ok(Bytes::from_static(b"go on"))]);
        Ok(Response::new(greeting.chain(request.into_inner())))
    }
}

/// Listens on a free port.
pub(crate) async fn listen() -> (SocketAddr, TcpIncoming) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    (listener.local_addr().unwrap(), TcpIncoming::from(listener))
}

/// Serves on a free port until the test's runtime ends.
pub(crate) async fn serve(echo: Echo) -> SocketAddr {
    let (addr, incoming) = listen().await;
    tokio::spawn(
        Server::builder()
            .add_service(echo)
            .serve_with_incoming(incoming),
    );
    addr
}

/// A stream of messages that a test sends one by one.
pub(crate) fn messages() -> (
    mpsc::UnboundedSender<Bytes>,
    impl Stream<Item = Bytes> + Send + 'static,
) {
    let (send, receive) = mpsc::unbounded_channel();
    let stream = stream::unfold(receive, |mut receive| async {
        let message = receive.recv().await?;
        Some((message, receive))
    });
    (send, stream)
}
