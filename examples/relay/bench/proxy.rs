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
use tokio::net::TcpListener;
use tokio::runtime::Builder;

/// Hands on what it is given, and does nothing else: the floor for anything made of hyper and the
/// client of hyper-util. It has as many threads as the relay.
pub(crate) fn run(addr: SocketAddr, upstream: SocketAddr) -> Result<()> {
    let listener = net::TcpListener::bind(addr)?;
    listener.set_nonblocking(true)?;
    let authority: Authority = upstream.to_string().parse()?;
    let mut threads = Vec::new();
    for _ in 0..thread::available_parallelism()?.get() {
        let (listener, authority) = (listener.try_clone()?, authority.clone());
        let runtime = Builder::new_current_thread().enable_all().build()?;
        threads.push(thread::spawn(move || {
            runtime.block_on(serve(listener, authority))
        }));
    }
    for thread in threads {
        let _ = thread.join();
    }
    Ok(())
}

async fn serve(listener: net::TcpListener, authority: Authority) -> Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Client<_, Incoming> = Client::builder(TokioExecutor::new()).build(connector);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
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
}
