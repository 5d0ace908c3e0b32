use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

/// A way to a server that takes its time, breaks, and may come to lead elsewhere.
///
/// It ends, with every connection, when this is dropped.
#[derive(Debug)]
pub struct Proxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
    accepting: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    target: Mutex<SocketAddr>,
    /// Each way, in microseconds.
    latency: AtomicU64,
    cut_next: AtomicBool,
    cuts: AtomicU64,
    /// Connections made before it last changed are over.
    broken: watch::Sender<()>,
    connections: AtomicU64,
    /// So many connections, the first ones, say nothing any more.
    silent: AtomicU64,
}

impl Proxy {
    /// Leads to `target` from a free port of the loopback, on the runtime this is called in.
    ///
    /// # Errors
    ///
    /// No port is free.
    pub async fn start(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared {
            target: Mutex::new(target),
            latency: AtomicU64::new(0),
            cut_next: AtomicBool::new(false),
            cuts: AtomicU64::new(0),
            broken: watch::Sender::new(()),
            connections: AtomicU64::new(0),
            silent: AtomicU64::new(0),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared))).abort_handle();
        Ok(Self {
            addr,
            shared,
            accepting,
        })
    }

    /// Returns where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Makes a round trip take so much longer from now on, half of it each way.
    pub fn set_latency(&self, round_trip: Duration) {
        let each = u64::try_from(round_trip.as_micros() / 2).unwrap_or(u64::MAX);
        self.shared.latency.store(each, Ordering::Relaxed);
    }

    /// Leads elsewhere from now on, and breaks every connection off.
    pub fn lead_to(&self, target: SocketAddr) {
        self.shared.set_target(target);
        self.shared.broken.send_replace(());
    }

    /// Leads elsewhere from now on. Connections made before stay open, and nothing goes through them any more: as when
    /// a host is gone without a word.
    pub fn lead_silently_to(&self, target: SocketAddr) {
        self.shared.set_target(target);
        let made = self.connections();
        self.shared.silent.store(made, Ordering::Relaxed);
    }

    /// Returns how many connections were made to it.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Hands on the first half of what the server says next, and closes that connection.
    pub fn cut_next_reply(&self) {
        self.shared.cut_next.store(true, Ordering::Relaxed);
    }

    /// Returns how many connections were closed in the middle of a reply.
    #[must_use]
    pub fn cuts(&self) -> u64 {
        self.shared.cuts.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Shared {
    fn latency(&self) -> Duration {
        Duration::from_micros(self.latency.load(Ordering::Relaxed))
    }

    fn set_target(&self, target: SocketAddr) {
        *self.target.lock().unwrap_or_else(PoisonError::into_inner) = target;
    }

    fn is_silent(&self, number: u64) -> bool {
        number < self.silent.load(Ordering::Relaxed)
    }

    /// What of a reply is handed on, and whether it is the last.
    fn reply(&self, mut said: Bytes) -> (Bytes, bool) {
        let cut = self.cut_next.swap(false, Ordering::Relaxed);
        if cut {
            said.truncate(said.len() / 2);
            self.cuts.fetch_add(1, Ordering::Relaxed);
        }
        (said, cut)
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Owns the connections: aborted with this task.
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let number = shared.connections.fetch_add(1, Ordering::Relaxed);
        connections.spawn(connection(number, client, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

/// Ends when either side does, or when something broke: what is closed is seen by both.
async fn connection(number: u64, client: TcpStream, shared: Arc<Shared>) {
    let mut broken = shared.broken.subscribe();
    let target = *shared.target.lock().unwrap_or_else(PoisonError::into_inner);
    let Ok(server) = TcpStream::connect(target).await else {
        return;
    };
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let (client_says, client_hears) = client.into_split();
    let (server_says, server_hears) = server.into_split();
    let there = pump(number, client_says, server_hears, &shared, |said| {
        (said, false)
    });
    let back = pump(number, server_says, client_hears, &shared, |said| {
        shared.reply(said)
    });
    tokio::select! {
        () = there => {}
        () = back => {}
        _ = broken.changed() => {}
    }
}

/// Hands on what is read, each piece when its time has come, until the end or the last piece. Has no end once it is
/// silent.
async fn pump(
    number: u64,
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    shared: &Shared,
    pass: impl Fn(Bytes) -> (Bytes, bool),
) {
    let (queue, mut queued) = mpsc::channel(1024);
    let read = async move {
        let mut buffer = BytesMut::new();
        while matches!(from.read_buf(&mut buffer).await, Ok(1..)) {
            let (piece, last) = pass(buffer.split().freeze());
            let due = Instant::now() + shared.latency();
            if queue.send((due, piece)).await.is_err() || last {
                break;
            }
        }
    };
    let write = async {
        while let Some((due, piece)) = queued.recv().await {
            sleep_until(due).await;
            if !shared.is_silent(number) && to.write_all(&piece).await.is_err() {
                break;
            }
        }
    };
    tokio::join!(read, write);
    if shared.is_silent(number) {
        std::future::pending::<()>().await;
    }
}
