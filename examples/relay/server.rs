use std::sync::Arc;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;

use crate::accept::{Accepted, Place};
use crate::config::Limits;
use crate::worker::Worker;

/// Serves on one thread what is accepted, until the relay is told to end and the last answer is given,
/// or the time for that is over.
pub(crate) async fn serve(
    router: Router,
    worker: Arc<Worker>,
    mut accepted: mpsc::UnboundedReceiver<Accepted>,
) {
    let graceful = GracefulShutdown::new();
    let begin = |(stream, place): Accepted| {
        let served = Served {
            limits: worker.routes().setup.config.limits,
            worker: Arc::clone(&worker),
            router: router.clone(),
            watcher: graceful.watcher(),
            _place: place,
        };
        match TcpStream::from_std(stream) {
            Ok(stream) => drop(tokio::spawn(served.run(stream))),
            Err(error) => tracing::warn!(%error, "cannot serve a connection"),
        }
    };
    loop {
        tokio::select! {
            next = accepted.recv() => match next {
                Some(next) => begin(next),
                None => break,
            },
            () = worker.ended() => break,
        }
    }
    accepted.close();
    while let Ok(next) = accepted.try_recv() {
        begin(next); // it was accepted before
    }
    let drain = worker.routes().setup.config.limits.drain;
    if timeout(drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("ended with answers unfinished");
    }
}

/// One connection.
struct Served {
    limits: Limits,
    worker: Arc<Worker>,
    router: Router,
    watcher: Watcher,
    _place: Place,
}

impl Served {
    async fn run(self, stream: TcpStream) {
        self.worker.metrics().connections.inc();
        // Events of a stream are small and are to go at once.
        let _ = stream.set_nodelay(true);
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.limits.unread));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head_within)
            .max_buf_size(self.limits.head)
            .serve_connection(
                TokioIo::new(Box::pin(stream)),
                TowerToHyperService::new(self.router),
            );
        // How a caller leaves is its own business.
        let _ = self.watcher.watch(connection).await;
        self.worker.metrics().connections.dec();
    }
}
