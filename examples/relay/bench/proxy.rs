use std::net::{self, SocketAddr};
use std::thread;

use anyhow::Result;
use http::uri::{Authority, Scheme};
use http::{Request, Uri};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::mpsc;

/// Hands on what it is given, and does nothing else: the floor for anything made of hyper and the
/// client of hyper-util. Like the relay, it has a thread for each core, each with its own runtime and
/// its own connections to the upstream, and gives them the connections of callers in turn.
pub(crate) fn run(addr: SocketAddr, upstream: SocketAddr) -> Result<()> {
    let listener = net::TcpListener::bind(addr)?;
    let authority: Authority = upstream.to_string().parse()?;
    let mut doors = Vec::new();
    for _ in 0..thread::available_parallelism()?.get() {
        let authority = authority.clone();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (door, accepted) = mpsc::unbounded_channel();
        thread::spawn(move || runtime.block_on(serve(accepted, authority)));
        doors.push(door);
    }
    for (stream, door) in listener.incoming().zip(doors.iter().cycle()) {
        door.send(stream?)?;
    }
    Ok(())
}

async fn serve(
    mut accepted: mpsc::UnboundedReceiver<net::TcpStream>,
    authority: Authority,
) -> Result<()> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Client<_, Incoming> = Client::builder(TokioExecutor::new()).build(connector);
    while let Some(stream) = accepted.recv().await {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let stream = TcpStream::from_std(stream)?;
        let (client, authority) = (client.clone(), authority.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            let mut parts = std::mem::take(request.uri_mut()).into_parts();
            parts.scheme = Some(Scheme::HTTP);
            parts.authority = Some(authority.clone());
            *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
            client.request(request)
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
    Ok(())
}
