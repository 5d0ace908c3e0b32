use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::{Cmd, RedisResult, Value};
use tokio::time::timeout;

use super::error::{ConnectError, Kind};
use super::failure::Failure;
use super::script::{Scripts, VERSION};
use super::trust::Trust;
use super::wire::{Call, Script};

/// Redis or Valkey: one connection for all calls, or one for each node of a cluster.
pub(super) struct Server {
    connection: Connection,
    scripts: Scripts,

    /// How long each command may take.
    time_limit: Duration,
}

#[derive(Clone)]
enum Connection {
    One(ConnectionManager),
    Cluster(ClusterConnection),
}

/// How long connecting may take.
const PATIENCE: Duration = Duration::from_secs(5);

impl Server {
    pub(super) async fn connect(
        url: &str,
        trust: Trust,
        time_limit: Duration,
    ) -> Result<Self, ConnectError> {
        let client = trust.client(url).map_err(ConnectError::of)?;
        // Commands have a time limit of their own.
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_max_delay(Duration::from_millis(100))
            .set_connection_timeout(Some(time_limit.max(Duration::from_millis(500))))
            .set_response_timeout(Some(2 * time_limit));
        let connecting = ConnectionManager::new_with_config(client, config);
        let connection = within(connecting).await?;
        Self::checked(Connection::One(connection), time_limit).await
    }

    pub(super) async fn connect_cluster(
        urls: Vec<String>,
        trust: Trust,
        time_limit: Duration,
    ) -> Result<Self, ConnectError> {
        let client = trust
            .cluster(ClusterClient::builder(urls))
            .connection_timeout(time_limit.max(Duration::from_millis(500)))
            .response_timeout(2 * time_limit)
            .retries(1)
            .build()
            .map_err(ConnectError::of)?;
        let connection = within(client.get_async_connection()).await?;
        Self::checked(Connection::Cluster(connection), time_limit).await
    }

    /// Refuses a server that will not do, before anything depends on it.
    async fn checked(connection: Connection, time_limit: Duration) -> Result<Self, ConnectError> {
        let server = Self {
            connection,
            scripts: Scripts::default(),
            time_limit,
        };
        let info = server.info("server").await?;
        if let Some(version) = too_old(&info) {
            return Err(ConnectError::new(Kind::TooOld(version.to_owned())));
        }
        let info = server.info("memory").await?;
        let policy = field(&info, "maxmemory_policy:").unwrap_or_default();
        if policy.starts_with("allkeys") {
            return Err(ConnectError::new(Kind::Eviction(policy.to_owned())));
        }
        Ok(server)
    }

    async fn info(&self, section: &str) -> Result<String, ConnectError> {
        let mut command = redis::cmd("INFO");
        command.arg(section);
        let value = within(self.send(&command)).await?;
        // A cluster answers by node; the first that says something will do.
        let text = match value {
            Value::Map(nodes) => nodes
                .into_iter()
                .next()
                .map_or(Value::Nil, |(_, text)| text),
            text => text,
        };
        redis::from_redis_value(text).map_err(|error| ConnectError::of(error.into()))
    }

    /// Calls a script on the state of one partition.
    pub(super) async fn call(&self, key: &str, call: &Call) -> Result<Vec<u8>, Failure> {
        let script = self.scripts.get(call.script);
        let (state, log) = (
            format!("{key}:{VERSION}:state"),
            format!("{key}:{VERSION}:log"),
        );
        let with = |name: &str, script: &str| {
            let mut command = redis::cmd(name);
            command.arg(script);
            match call.script {
                Script::Reserve(_) => command.arg(2).arg(&state).arg(&log).arg(&call.numbers),
                Script::Sync => command
                    .arg(3)
                    .arg(&state)
                    .arg(&log)
                    .arg(format!("{key}:{VERSION}:fleet"))
                    .arg(&call.numbers)
                    .arg(&call.member)
                    .arg(&call.quota),
            };
            command
        };
        let answer = match self.in_time(&with("EVALSHA", &script.sha)).await {
            Err(Failure::Server(error)) if error.code() == Some("NOSCRIPT") => {
                // The server has the script from then on, whatever node of a cluster it is.
                self.in_time(&with("EVAL", &script.body)).await?
            }
            answer => answer?,
        };
        match answer {
            Value::BulkString(bytes) => Ok(bytes),
            _ => Err(Failure::Garbled),
        }
    }

    async fn in_time(&self, command: &Cmd) -> Result<Value, Failure> {
        let answer = timeout(self.time_limit, self.send(command)).await;
        answer.map_err(|_| Failure::Late)?.map_err(Failure::Server)
    }

    async fn send(&self, command: &Cmd) -> RedisResult<Value> {
        match self.connection.clone() {
            Connection::One(mut one) => command.query_async(&mut one).await,
            Connection::Cluster(mut cluster) => command.query_async(&mut cluster).await,
        }
    }
}

async fn within<T>(connecting: impl Future<Output = RedisResult<T>>) -> Result<T, ConnectError> {
    match timeout(PATIENCE, connecting).await {
        Ok(connected) => connected.map_err(ConnectError::of),
        Err(_) => Err(ConnectError::new(Kind::Unreachable)),
    }
}

/// The version of a server that says in INFO that it is older than 6.
fn too_old(info: &str) -> Option<&str> {
    let version = field(info, "redis_version:")?;
    let major: u32 = version.split('.').next()?.parse().ok()?;
    (major < 6).then_some(version)
}

/// The value of a line of INFO.
fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_before_the_sixth_is_too_old() {
        let info =
            |version| format!("# Server\r\nredis_version:{version}\r\nredis_mode:standalone\r\n");
        for version in ["5.0.14", "2.8.0"] {
            assert_eq!(too_old(&info(version)), Some(version));
        }
        for version in ["6.0.0", "7.2.4", "10.1.0", "unknown"] {
            assert_eq!(too_old(&info(version)), None);
        }
        assert_eq!(too_old(""), None);
    }

    #[test]
    fn what_is_too_old_is_said_in_one_sentence() {
        let error = ConnectError::new(Kind::TooOld("5.0.14".to_owned()));
        assert!(error.is_too_old());
        assert_eq!(
            error.to_string(),
            "the store is version 5.0.14, and 6.0 is the oldest that will do"
        );
    }
}
