use std::sync::Arc;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;

use crate::accept::{Accepted, Place};
use crate::config::Limits;
use crate::entry::Entry;
use crate::worker::Worker;

/// Serves on one thread what is accepted, until the relay is told to end and the last answer is given,
/// or the time for that is over.
pub(crate) async fn serve(
    entry: Entry,
    worker: Arc<Worker>,
    mut accepted: mpsc::UnboundedReceiver<Accepted>,
) {
    let graceful = GracefulShutdown::new();
    let begin = |accepted| begin(&entry, &worker, graceful.watcher(), accepted);
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

/// Serves what is accepted for as long as the process runs.
pub(crate) async fn serve_on(
    entry: Entry,
    worker: Arc<Worker>,
    mut accepted: mpsc::UnboundedReceiver<Accepted>,
) {
    let graceful = GracefulShutdown::new();
    while let Some(next) = accepted.recv().await {
        begin(&entry, &worker, graceful.watcher(), next);
    }
}

fn begin(entry: &Entry, worker: &Arc<Worker>, watcher: Watcher, (stream, place): Accepted) {
    let served = Served {
        limits: worker.routes().setup.config.limits,
        worker: Arc::clone(worker),
        entry: entry.clone(),
        watcher,
        _place: place,
    };
    match TcpStream::from_std(stream) {
        Ok(stream) => drop(tokio::spawn(served.run(stream))),
        Err(error) => tracing::warn!(%error, "cannot serve a connection"),
    }
}

/// One connection.
struct Served {
    limits: Limits,
    worker: Arc<Worker>,
    entry: Entry,
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
            .max_header_size(self.limits.head)
            .serve_connection(TokioIo::new(Box::pin(stream)), self.entry);
        // How a caller leaves is its own business.
        let _ = self.watcher.watch(connection).await;
        self.worker.metrics().connections.dec();
    }
}
