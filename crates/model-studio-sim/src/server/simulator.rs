use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

use super::builder::{Builder, Settings};
use super::ledger::Ledger;
use super::route::serve;
use super::wire::{Fuse, Wire};
use super::world::World;

/// A running simulator. It ends, with every connection, when this is dropped.
///
/// # Example
///
/// ```
/// use model_studio_sim::{Limits, Simulator};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let simulator = Simulator::builder()
///     .account("a", ["sk-a1"])
///     .model("qwen3-max", Limits::per_minute(600).per_second(10))
///     .start()
///     .await?;
///
/// // Point a client at `simulator.base_url()` with the key `sk-a1`, then see what it did:
/// assert_eq!(simulator.ledger().requests(), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Simulator {
    world: Arc<World>,
    addr: SocketAddr,
    base_url: String,
    accepting: AbortHandle,
}

impl Simulator {
    /// What a simulator is to be: [`Builder::start`] makes it so.
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(super) async fn start(settings: Settings) -> io::Result<Self> {
        let listener = TcpListener::bind(settings.listen).await?;
        let addr = listener.local_addr()?;
        #[expect(
            clippy::disallowed_methods,
            reason = "read once, for a field that nobody decides by"
        )]
        let epoch = std::time::SystemTime::now().duration_since(UNIX_EPOCH);
        let world = Arc::new(World::new(settings, epoch.unwrap_or_default().as_secs()));
        let accepting = tokio::spawn(accept(listener, Arc::clone(&world))).abort_handle();
        Ok(Self {
            world,
            addr,
            base_url: format!("http://{addr}/compatible-mode/v1"),
            accepting,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What an `OpenAI` client takes as its base URL: `http://…/compatible-mode/v1`.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Revokes a key: requests with it are refused from now on, as those with one that nobody has.
    /// Those that were admitted before are answered. Returns whether it was a valid key.
    #[allow(
        clippy::must_use_candidate,
        reason = "whoever revokes a key need not ask what it was"
    )]
    pub fn revoke(&self, key: &str) -> bool {
        self.world.revoke(key)
    }

    /// What it has seen so far.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        self.world.ledger()
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, world: Arc<World>) {
    // Owns the connections: aborted with this task.
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(connection(stream, Arc::clone(&world)));
            }
            // Out of file descriptors, most likely: some are given back before long.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, world: Arc<World>) {
    // Answers are written whole; Nagle would hold the last piece of a stream back.
    let _ = stream.set_nodelay(true);
    let fuse = Fuse::default();
    let wire = Wire::new(stream, fuse.clone());
    let service = service_fn(move |request| serve(Arc::clone(&world), fuse.clone(), request));
    // How a client leaves is its own business.
    let _ = auto::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(wire), service)
        .await;
}
