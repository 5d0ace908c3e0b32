use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::UNIX_EPOCH;
use std::{fmt, thread};

use anyhow::{Context, Result};
use model_studio_sim::Simulator;
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Builder;
use tokio::sync::{mpsc, watch};

use crate::Args;
use crate::accept::Accept;
use crate::app;
use crate::config::Config;
use crate::demo::Demo;
use crate::entry::Entry;
use crate::metrics::Metrics;
use crate::reload::{Reload, read};
use crate::server::{serve, serve_on};
use crate::setup::Setup;
use crate::worker::Worker;

/// A running relay: some threads, each with its own connections.
///
/// It is told to end by [`end`](Self::end), and ends with open streams cut when it is dropped.
pub struct Relay {
    addr: SocketAddr,
    admin: Option<SocketAddr>,
    api_key: Option<String>,
    simulator: Option<Simulator>,
    metrics: Arc<Metrics>,
    ending: watch::Sender<bool>,
    reload: Option<mpsc::Sender<()>>,
    // Ends when the last thread does: each holds the other side. They are not joined, which nobody
    // could give up who is told to end at once.
    threads: mpsc::Receiver<Infallible>,
}

impl Relay {
    /// Starts to serve. It must be called within a tokio runtime, in which the configuration is watched
    /// and the simulator runs, if there is one.
    ///
    /// # Errors
    ///
    /// The configuration is wrong, or the address cannot be listened on.
    pub async fn start(args: &Args) -> Result<Self> {
        // Before it is parsed: what changes from now on is seen.
        let text = args.config.as_deref().and_then(read);
        let (config, demo) = if let Some(path) = &args.config {
            (Config::load(path)?, None)
        } else {
            let demo = Demo::start().await?;
            (demo.config, Some((demo.simulator, demo.api_key)))
        };
        for provider in config.providers.iter().filter(|it| it.base.exposes_keys()) {
            let provider = &provider.name;
            tracing::warn!(
                provider,
                "keys go out unencrypted; https would protect them"
            );
        }
        let any = demo
            .is_some()
            .then(|| SocketAddr::from(([127, 0, 0, 1], 0)));
        let addr = args.listen.or(any).unwrap_or(config.listen);
        let listener = listen(addr)?;
        let addr = listener.local_addr()?;
        let admin = config.admin.listen.map(listen).transpose()?;
        let admin_addr = admin.as_ref().map(TcpListener::local_addr).transpose()?;
        let cores = || thread::available_parallelism().map_or(1, usize::from);
        let workers = config.workers.unwrap_or_else(cores);
        let mut accept = Accept::new(listener, config.limits.connections);

        let metrics = Arc::new(Metrics::new());
        let started = seconds();
        let setup = Arc::new(Setup::new(config, None, started)?);
        let (setup, in_force) = watch::channel(setup);
        let (ending, ended) = watch::channel(false);
        let (alive, threads) = mpsc::channel(1);
        for number in 0..workers {
            let accepted = accept.door();
            let (in_force, ended) = (in_force.clone(), ended.clone());
            let metrics = Arc::clone(&metrics);
            let prefix = format!("{started:x}-{:x}-{number:x}-", std::process::id());
            let alive = alive.clone();
            let thread = thread::Builder::new().name(format!("relay-{number}"));
            thread.spawn(move || {
                let runtime = match Builder::new_current_thread().enable_all().build() {
                    Ok(runtime) => runtime,
                    Err(error) => {
                        tracing::error!(%error, "cannot start a thread");
                        return;
                    }
                };
                runtime.block_on(async {
                    let worker = Arc::new(Worker::new(in_force, ended, metrics, prefix));
                    let router = app::router(Arc::clone(&worker));
                    let entry = Entry::with_models(router, Arc::clone(&worker));
                    serve(entry, worker, accepted).await;
                });
                drop(alive);
            })?;
        }
        let told = ended.clone();
        tokio::spawn(accept.run(async move {
            let mut told = told;
            // The sender goes only when the relay does.
            let _ = told.wait_for(|ending| *ending).await;
        }));
        if let Some(listener) = admin {
            let mut accept = Accept::new(listener, OPERATORS);
            let accepted = accept.door();
            let worker = Worker::new(in_force, ended.clone(), Arc::clone(&metrics), "-".into());
            let worker = Arc::new(worker);
            // They are told how it stands to the very end.
            tokio::spawn(accept.run(std::future::pending()));
            let entry = Entry::new(app::operators(Arc::clone(&worker)));
            tokio::spawn(serve_on(entry, worker, accepted));
        }
        let reload = args.config.as_ref().map(|path| {
            let (tell, told) = mpsc::channel(1);
            let reload = Reload::new(path.clone(), text, setup, Arc::clone(&metrics));
            tokio::spawn(reload.run(told));
            tell
        });
        let (simulator, api_key) = demo.unzip();
        Ok(Self {
            addr,
            admin: admin_addr,
            api_key,
            simulator,
            metrics,
            ending,
            reload,
            threads,
        })
    }

    /// What a client takes as its base URL.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.addr)
    }

    /// Where operators have a listener of their own, if they have.
    #[must_use]
    pub const fn admin(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// The key of the relay that was started without a configuration.
    #[must_use]
    pub fn api_key(&self) -> Option<&str> {
        self.api_key.as_deref()
    }

    /// The simulator of the relay that was started without a configuration.
    #[must_use]
    pub const fn simulator(&self) -> Option<&Simulator> {
        self.simulator.as_ref()
    }

    /// What was counted so far, in the text format of Prometheus.
    #[must_use]
    pub fn metrics(&self) -> String {
        self.metrics.encode()
    }

    /// How many requests are not answered to their last byte.
    pub(crate) fn open(&self) -> i64 {
        self.metrics.open.get()
    }

    /// Reads the configuration again, where there is one.
    pub fn reload(&self) {
        if let Some(reload) = &self.reload {
            // If it is full, a reload is due already.
            let _ = reload.try_send(());
        }
    }

    /// Tells it to end: nobody else is let in, open answers are finished.
    pub fn end(&self) {
        self.ending.send_replace(true);
    }

    /// Waits until it has ended.
    pub async fn ended(&mut self) {
        // A thread that panicked has ended, too.
        while self.threads.recv().await.is_some() {}
    }
}

/// The most connections of operators at once.
const OPERATORS: usize = 64;

/// The most that may be waiting to be accepted, where the system allows so many: all callers come at once
/// when the relay has been started again. The default, 128, has the others wait for seconds.
const QUEUE: u32 = 4_096;

fn listen(addr: SocketAddr) -> Result<TcpListener> {
    let socket = match addr {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    };
    let listener = socket.and_then(|socket| {
        // Connections of a relay that has ended do not keep the next one from its port. On Windows it would
        // also let in one beside another.
        socket.set_reuseaddr(cfg!(not(windows)))?;
        socket.bind(addr)?;
        socket.listen(QUEUE)
    });
    listener.with_context(|| format!("cannot listen on {addr}"))
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay")
            .field("addr", &self.addr)
            .finish_non_exhaustive()
    }
}

#[expect(clippy::disallowed_methods, reason = "read once, for people")]
fn seconds() -> u64 {
    let now = std::time::SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs()
}
