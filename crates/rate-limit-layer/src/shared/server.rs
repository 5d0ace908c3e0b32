use std::time::Duration;

use redis::cluster::ClusterClient;
use redis::{Cmd, Value};
use tokio::time::{Instant, sleep, timeout_at};

use super::error::{ConnectError, Kind};
use super::failure::Failure;
use super::link::{Connection, Link, PAUSE, Target};
use super::script::{Scripts, VERSION};
use super::trust::Trust;
use super::wire::{Call, Script};
use crate::partition::store_key;

/// Redis or Valkey: one connection for all calls, or one for each node of a cluster.
pub(super) struct Server {
    link: Link,
    scripts: Scripts,

    /// How long each command may take.
    time_limit: Duration,
}

/// How long connecting may take, with all that is looked at.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long one attempt may take where the next may do better: when a connection is to be made anew, or a node of a
/// cluster does not answer. It may be longer than a call, which goes on where the last one had to give up.
const ATTEMPT: Duration = Duration::from_secs(2);

impl Server {
    pub(super) async fn connect(
        url: &str,
        trust: Trust,
        prefix: &str,
        time_limit: Duration,
    ) -> Result<Self, ConnectError> {
        let client = trust.client(url).map_err(ConnectError::of)?;
        Self::join(Target::One(client), prefix, time_limit).await
    }

    pub(super) async fn connect_cluster(
        urls: Vec<String>,
        trust: Trust,
        prefix: &str,
        time_limit: Duration,
    ) -> Result<Self, ConnectError> {
        let client = trust
            .cluster(ClusterClient::builder(urls))
            .connection_timeout(attempt(time_limit))
            .response_timeout(attempt(time_limit))
            .retries(1)
            .build()
            .map_err(ConnectError::of)?;
        Self::join(Target::Cluster(client), prefix, time_limit).await
    }

    /// Tries for as long as there is patience, and comes back with what was wrong last.
    async fn join(
        target: Target,
        prefix: &str,
        time_limit: Duration,
    ) -> Result<Self, ConnectError> {
        let until = Instant::now() + PATIENCE;
        let mut last = ConnectError::new(Kind::Unreachable);
        loop {
            match timeout_at(until, checked(&target, prefix)).await {
                Ok(Ok(connection)) => {
                    return Ok(Self {
                        link: Link::new(target, connection, attempt(time_limit)),
                        scripts: Scripts::default(),
                        time_limit,
                    });
                }
                Ok(Err(error)) if error.may_pass() => last = error,
                Ok(Err(error)) => return Err(error),
                Err(_) => return Err(last),
            }
            sleep(PAUSE).await;
        }
    }

    /// Calls a script on the state of one partition.
    pub(super) async fn call(&self, key: &str, call: &Call) -> Result<Vec<u8>, Failure> {
        let script = self.scripts.get(call.script);
        let state = format!("{key}:{VERSION}:state");
        let with = |name: &str, script: &str| {
            let mut command = redis::cmd(name);
            command.arg(script);
            match call.script {
                Script::Reserve(_) => command.arg(1).arg(&state).arg(&call.numbers),
                Script::Sync => command
                    .arg(2)
                    .arg(&state)
                    .arg(format!("{key}:{VERSION}:fleet"))
                    .arg(&call.numbers)
                    .arg(&call.member)
                    .arg(&call.quota),
            };
            command
        };
        let answer = match self.send(key, &with("EVALSHA", &script.sha)).await {
            Err(Failure::Server(error)) if error.code() == Some("NOSCRIPT") => {
                // The server has the script from then on, whatever node of a cluster it is.
                self.send(key, &with("EVAL", &script.body)).await?
            }
            answer => answer?,
        };
        match answer {
            Value::BulkString(bytes) => Ok(bytes),
            _ => Err(Failure::Garbled),
        }
    }

    async fn send(&self, key: &str, command: &Cmd) -> Result<Value, Failure> {
        self.link.call(key, command, self.time_limit).await
    }
}

/// How long an attempt may take where a call may take so long.
fn attempt(time_limit: Duration) -> Duration {
    ATTEMPT.max(2 * time_limit)
}

/// Connects, and refuses a server that will not do before anything depends on it.
async fn checked(target: &Target, prefix: &str) -> Result<Connection, ConnectError> {
    let mut connection = target.connect(PATIENCE).await.map_err(ConnectError::of)?;
    let mut send = async |command: &Cmd| connection.send(command).await;
    let info = send(&redis::cmd("INFO")).await.map_err(ConnectError::of)?;
    // A cluster answers by node.
    let texts = match info {
        Value::Map(nodes) => nodes.into_iter().map(|(_, text)| text).collect(),
        text => vec![text],
    };
    for text in texts {
        let text: String =
            redis::from_redis_value(text).map_err(|error| ConnectError::of(error.into()))?;
        will_do(&text)?;
    }
    // There is no such script, which is said only to those who may call one with such a key.
    let mut command = redis::cmd("EVALSHA");
    command
        .arg("0".repeat(40))
        .arg(1)
        .arg(store_key(prefix, "", ""));
    match send(&command).await {
        Err(error) if error.code() != Some("NOSCRIPT") => Err(ConnectError::of(error)),
        _ => Ok(connection),
    }
}

/// What INFO says against a server, if anything.
fn will_do(info: &str) -> Result<(), ConnectError> {
    if let Some(version) = too_old(info) {
        return Err(ConnectError::new(Kind::TooOld(version.to_owned())));
    }
    let policy = field(info, "maxmemory_policy:").unwrap_or_default();
    if policy.starts_with("allkeys") {
        return Err(ConnectError::new(Kind::Eviction(policy.to_owned())));
    }
    Ok(())
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
