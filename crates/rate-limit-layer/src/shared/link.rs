use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, RedisError, RedisResult, Value};
use tokio::time::{Instant, sleep_until, timeout};

use super::failure::Failure;

/// The connection that all calls share, made anew whenever it breaks or falls silent.
///
/// Nothing is spawned for that: who calls has the next one made, for all, and goes on with it for as long as a call may
/// take. Where that was not long enough, the next call goes on with the same.
pub(super) struct Link {
    target: Target,
    attempt: Duration,
    state: Mutex<State>,
}

/// What to connect to.
#[derive(Clone)]
pub(super) enum Target {
    One(Client),
    Cluster(ClusterClient),
}

#[derive(Clone)]
pub(super) enum Connection {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

struct State {
    connecting: Connecting,

    /// Which connection of all that were made this is, and when the attempt began.
    number: u64,
    began: Instant,

    /// Since when there is no answer about a key, by key: one node of a cluster may be silent alone.
    silent: HashMap<String, Instant>,

    /// After how long of that another connection is tried.
    patience: Duration,
}

type Connecting = Shared<BoxFuture<'static, RedisResult<Connection>>>;

/// The least time from one attempt to connect to the next.
pub(super) const PAUSE: Duration = Duration::from_millis(50);

/// How long a connection may be silent: at first, and at most when others were silent as well. A store that is only
/// slow is not to make connections besides.
const SILENCE: Duration = Duration::from_secs(1);
const MOST_SILENCE: Duration = Duration::from_secs(30);

/// How many keys are known to be without an answer, at most.
const KEYS: usize = 1024;

impl Link {
    /// Begins with a connection that was made. An attempt to make another may take that long.
    pub(super) fn new(target: Target, connection: Connection, attempt: Duration) -> Self {
        Self {
            target,
            attempt,
            state: Mutex::new(State {
                connecting: std::future::ready(Ok(connection)).boxed().shared(),
                number: 0,
                began: Instant::now(),
                silent: HashMap::new(),
                patience: SILENCE,
            }),
        }
    }

    /// Sends a command that is about `key`, whose answer may take that long.
    pub(super) async fn call(
        &self,
        key: &str,
        command: &Cmd,
        limit: Duration,
    ) -> Result<Value, Failure> {
        let (number, connecting) = {
            let state = self.lock();
            (state.number, state.connecting.clone())
        };
        let mut connected = None;
        let answer = timeout(limit, async {
            let connection = connecting.await?;
            connected.insert(connection).send(command).await
        });
        let answer = answer.await;
        match (&answer, connected) {
            (Ok(Err(error)), Some(Connection::One(_))) if is_broken(error) => self.renew(number),
            (Ok(Err(_)), None) => self.renew(number),
            // A cluster mends what it can by itself.
            (Ok(Err(error)), Some(_)) if error.is_unrecoverable_error() => self.fails(number, key),
            (Ok(_), _) => self.answered(key),
            (Err(_), Some(_)) => self.fails(number, key),
            (Err(_), None) => {} // it is being connected to
        }
        answer.map_err(|_| Failure::Late)?.map_err(Failure::Server)
    }

    fn answered(&self, key: &str) {
        let mut state = self.lock();
        state.silent.remove(key);
        state.patience = SILENCE;
    }

    fn fails(&self, number: u64, key: &str) {
        let now = Instant::now();
        let mut state = self.lock();
        if state.number != number {
            return;
        }
        if state.silent.len() >= KEYS {
            state.silent.clear();
        }
        let since = *state.silent.entry(key.to_owned()).or_insert(now);
        if now.saturating_duration_since(since) >= state.patience {
            state.patience = (2 * state.patience).min(MOST_SILENCE);
            self.replace(&mut state);
        }
    }

    /// Has a connection made instead of the one of this number, unless that was done.
    fn renew(&self, number: u64) {
        let mut state = self.lock();
        if state.number == number {
            self.replace(&mut state);
        }
    }

    fn replace(&self, state: &mut State) {
        let at = Instant::now().max(state.began + PAUSE);
        let (target, attempt) = (self.target.clone(), self.attempt);
        let connecting = async move {
            sleep_until(at).await;
            target.connect(attempt).await
        };
        state.connecting = connecting.boxed().shared();
        state.number += 1;
        state.began = at;
        state.silent.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Target {
    /// Connects, which may take so long; a cluster has been told how long each step may.
    pub(super) async fn connect(&self, attempt: Duration) -> RedisResult<Connection> {
        match self {
            Self::One(client) => {
                // Who calls knows how long to wait for an answer.
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(attempt))
                    .set_response_timeout(None);
                let one = client.get_multiplexed_async_connection_with_config(&config);
                one.await.map(Connection::One)
            }
            Self::Cluster(client) => client.get_async_connection().await.map(Connection::Cluster),
        }
    }
}

impl Connection {
    pub(super) async fn send(&mut self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::One(one) => command.query_async(one).await,
            Self::Cluster(cluster) => command.query_async(cluster).await,
        }
    }
}

/// Whether another connection may do better: what was a primary may be a replica now, and what has its name another.
fn is_broken(error: &RedisError) -> bool {
    error.is_unrecoverable_error() || error.code() == Some("READONLY")
}
