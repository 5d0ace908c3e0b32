//! What stands in front of an upstream, so that it can be restarted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use crate::until::until;

/// Forwards connections. [`stop`](Self::stop) ends all of them as the end of a process does, and
/// counts the requests that came too late to be forwarded: of each of those, nobody behind it knows.
pub(crate) struct Front {
    addr: SocketAddr,
    to: SocketAddr,
    // Connections go on; and new ones are accepted.
    running: watch::Sender<bool>,
    listening: Option<oneshot::Sender<oneshot::Sender<()>>>,
    counts: Arc<Counts>,
    tasks: JoinSet<()>,
}

#[derive(Default)]
struct Counts {
    // Connections whose caller has not closed its side.
    open: AtomicUsize,
    // Answers cut off by a stop, at most one a connection.
    cut: AtomicU64,
    // Requests that were not forwarded whole.
    lost: AtomicU64,
}

impl Front {
    pub(crate) async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let mut front = Self {
            addr: listener.local_addr().unwrap(),
            to,
            running: watch::Sender::new(true),
            listening: None,
            counts: Arc::default(),
            tasks: JoinSet::new(),
        };
        front.accept(listener);
        front
    }

    pub(crate) const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Stops to listen, and ends every connection.
    pub(crate) async fn stop(&mut self) {
        // In this order: when connections end, others are made in their place at once, and one made
        // while the listener closes would be counted by nobody.
        let (tell, told) = oneshot::channel();
        self.listening.take().unwrap().send(tell).unwrap();
        told.await.unwrap();
        self.running.send_replace(false);
        until("the last connection ends", || {
            self.counts.open.load(Ordering::Relaxed) == 0
        })
        .await;
    }

    /// Listens again, where it did.
    pub(crate) async fn start_again(&mut self) {
        self.running = watch::Sender::new(true);
        let mut listener = None;
        // A process that another test starts holds what is open here until it has become another program.
        until("its port", || {
            listener = std::net::TcpListener::bind(self.addr).ok();
            listener.is_some()
        })
        .await;
        let listener = listener.unwrap();
        listener.set_nonblocking(true).unwrap();
        self.accept(TcpListener::from_std(listener).unwrap());
    }

    /// Requests that were not forwarded.
    pub(crate) fn lost(&self) -> u64 {
        self.counts.lost.load(Ordering::Relaxed)
    }

    /// Connections that had to end.
    pub(crate) fn cut(&self) -> u64 {
        self.counts.cut.load(Ordering::Relaxed)
    }

    fn accept(&mut self, listener: TcpListener) {
        let (to, counts) = (self.to, Arc::clone(&self.counts));
        let running = self.running.subscribe();
        let (stop, mut stopping) = oneshot::channel();
        self.listening = Some(stop);
        self.tasks.spawn(async move {
            let mut connections = JoinSet::new();
            let told = loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        let (caller, _) = accepted.unwrap();
                        counts.open.fetch_add(1, Ordering::Relaxed);
                        let forward = forward(caller, to, running.clone(), Arc::clone(&counts));
                        connections.spawn(forward);
                    }
                    told = &mut stopping => break told,
                }
            };
            // Connected since, which tokio may not have heard of.
            let listener = listener.into_std().unwrap();
            while let Ok((caller, _)) = listener.accept() {
                counts.open.fetch_add(1, Ordering::Relaxed);
                caller.set_nonblocking(true).unwrap();
                let caller = TcpStream::from_std(caller).unwrap();
                connections.spawn(forward(caller, to, running.clone(), Arc::clone(&counts)));
            }
            drop(listener);
            let _ = told.map(|told| told.send(()));
            // What was forwarded is seen through by whoever is behind; they never learn of it.
            std::future::pending::<()>().await;
        });
    }
}

async fn forward(
    caller: TcpStream,
    to: SocketAddr,
    mut running: watch::Receiver<bool>,
    counts: Arc<Counts>,
) {
    caller.set_nodelay(true).unwrap();
    let upstream = TcpStream::connect(to).await.unwrap();
    upstream.set_nodelay(true).unwrap();
    let (mut from_caller, mut to_caller) = caller.into_split();
    let (mut from_upstream, mut to_upstream) = upstream.into_split();
    let mut stopped = running.clone();
    let back = async move {
        let mut buffer = vec![0; 16 << 10];
        loop {
            tokio::select! {
                read = from_upstream.read(&mut buffer) => match read {
                    Ok(length @ 1..) if to_caller.write_all(&buffer[..length]).await.is_ok() => {}
                    _ => break,
                },
                () = stop(&mut stopped) => break,
            }
        }
        let _ = to_caller.shutdown().await;
        (from_upstream, to_caller)
    };
    let there = async {
        let mut buffer = vec![0; 16 << 10];
        let mut lost = false;
        loop {
            tokio::select! {
                biased;
                () = stop(&mut running) => {
                    counts.cut.fetch_add(1, Ordering::Relaxed);
                    break;
                }
                read = from_caller.read(&mut buffer) => match read {
                    Ok(length @ 1..) => {
                        if to_upstream.write_all(&buffer[..length]).await.is_err() {
                            lost = true;
                        }
                    }
                    _ => break,
                },
            }
        }
        // The caller is told; what it sends until it hears comes too late.
        while let Ok(1..) = from_caller.read(&mut buffer).await {
            lost = true;
        }
        counts.lost.fetch_add(u64::from(lost), Ordering::Relaxed);
        counts.open.fetch_sub(1, Ordering::Relaxed);
        to_upstream
    };
    let _kept = tokio::join!(back, there);
    // Until the test ends: the upstream is to read what it was sent before it hears of an end.
    if !*running.borrow() {
        std::future::pending::<()>().await;
    }
}

async fn stop(running: &mut watch::Receiver<bool>) {
    let _ = running.wait_for(|running| !running).await;
}
