use std::net;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::sleep;

/// A connection on its way to the thread that serves it.
pub(crate) type Accepted = (net::TcpStream, Place);

/// Accepts connections and hands each to the thread that has the fewest.
///
/// Threads that accept for themselves share badly: whoever is awake takes all that come at once, and
/// callers keep their connections for long.
#[derive(Debug)]
pub(crate) struct Accept {
    listener: TcpListener,
    doors: Vec<Door>,
    places: Arc<Semaphore>,
}

/// The way to a thread.
#[derive(Debug)]
struct Door {
    to: mpsc::UnboundedSender<Accepted>,
    open: Arc<AtomicUsize>,
}

/// One of the connections there may be, and one of those a thread has.
#[derive(Debug)]
pub(crate) struct Place {
    open: Arc<AtomicUsize>,
    _permit: OwnedSemaphorePermit,
}

impl Accept {
    /// Accepts up to `most` connections at once; who is too many waits in the queue of the system.
    pub(crate) fn new(listener: TcpListener, most: usize) -> Self {
        Self {
            listener,
            doors: Vec::new(),
            places: Arc::new(Semaphore::new(most)),
        }
    }

    /// Adds a thread, which gets its connections from what is returned.
    pub(crate) fn door(&mut self) -> mpsc::UnboundedReceiver<Accepted> {
        let (to, from) = mpsc::unbounded_channel();
        let open = Arc::default();
        self.doors.push(Door { to, open });
        from
    }

    /// Goes on until the relay is told to end, which is when `ended` is ready.
    pub(crate) async fn run(self, ended: impl Future<Output = ()>) {
        tokio::select! {
            () = self.accept() => {}
            () = ended => {}
        }
    }

    async fn accept(&self) {
        loop {
            let Ok(permit) = Arc::clone(&self.places).acquire_owned().await else {
                return;
            };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    if let Ok(stream) = stream.into_std() {
                        self.hand_on(stream, permit);
                    }
                }
                // Out of file descriptors, most likely: some are given back before long.
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    fn hand_on(&self, stream: net::TcpStream, permit: OwnedSemaphorePermit) {
        let doors = self.doors.iter();
        let Some(door) = doors.min_by_key(|door| door.open.load(Ordering::Relaxed)) else {
            return;
        };
        door.open.fetch_add(1, Ordering::Relaxed);
        let place = Place {
            open: Arc::clone(&door.open),
            _permit: permit,
        };
        // A thread that has ended takes no more.
        let _ = door.to.send((stream, place));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}
