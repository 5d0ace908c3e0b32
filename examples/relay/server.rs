use std::net;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;

use crate::app::router;
use crate::config::Limits;
use crate::worker::Worker;

/// Serves on one thread until the relay is told to end and the last answer is given, or the time for
/// that is over.
pub(crate) async fn serve(
    listener: net::TcpListener,
    worker: Arc<Worker>,
    connections: Arc<Semaphore>,
) -> std::io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let router = router(Arc::clone(&worker));
    let graceful = GracefulShutdown::new();
    let accepting = async {
        loop {
            // Who is too many waits in the queue of the system.
            let Ok(place) = Arc::clone(&connections).acquire_owned().await else {
                return;
            };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let served = Served {
                        limits: worker.routes().setup.config.limits,
                        worker: Arc::clone(&worker),
                        router: router.clone(),
                        watcher: graceful.watcher(),
                        _place: place,
                    };
                    tokio::spawn(served.run(stream));
                }
                // Out of file descriptors, most likely: some are given back before long.
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(Duration::from_millis(50)).await;
                }
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        () = worker.ended() => {}
    }
    drop(listener);
    let drain = worker.routes().setup.config.limits.drain;
    if timeout(drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("ended with answers unfinished");
    }
    Ok(())
}

/// One connection.
struct Served {
    limits: Limits,
    worker: Arc<Worker>,
    router: Router,
    watcher: Watcher,
    _place: OwnedSemaphorePermit,
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
