use std::fmt;
use std::time::Duration;

use super::driver::StoreDriver;
use super::error::ConnectError;
use super::local::LocalStore;
use super::outage::Outage;
use super::server::Server;
use super::store::{Backend, SharedStore};
use super::trust::Trust;

/// Joins a store; begin with [`SharedStore::builder`].
#[must_use = "a builder does nothing until it connects or joins"]
pub struct SharedStoreBuilder {
    pub(super) outage: Outage,
    pub(super) time_limit: Duration,
    pub(super) prefix: String,
    pub(super) instance: String,
    trust: Trust,
}

impl SharedStoreBuilder {
    pub(super) fn new() -> Self {
        Self {
            outage: Outage::LastShare,
            time_limit: Duration::from_millis(100),
            prefix: "rate-limit".to_owned(),
            instance: format!("{:016x}", random()),
            trust: Trust::default(),
        }
    }

    /// Sets what to do while the store is out of reach. [`Outage::LastShare`] unless set.
    pub fn outage(self, outage: Outage) -> Self {
        Self { outage, ..self }
    }

    /// Sets how long one call may take before the store counts as out of reach: 100 ms unless set, and at
    /// least a millisecond. No request waits that long more than once.
    pub fn time_limit(self, limit: Duration) -> Self {
        Self {
            time_limit: limit.max(Duration::from_millis(1)),
            ..self
        }
    }

    /// Sets what all keys begin with, `rate-limit` unless set. Only instances with the same prefix share.
    pub fn prefix(self, prefix: impl Into<String>) -> Self {
        Self {
            prefix: prefix.into(),
            ..self
        }
    }

    /// Sets the name of this instance, which no other may have. Random unless set.
    pub fn instance(self, instance: impl Into<String>) -> Self {
        Self {
            instance: instance.into(),
            ..self
        }
    }

    /// Sets what the server's certificate has to be signed by, in PEM, instead of what the system trusts.
    #[cfg(feature = "redis-tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "redis-tls")))]
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.trust.roots = Some(pem.into());
        self
    }

    /// Sets the certificate by which the server knows this instance, and its key, both in PEM.
    #[cfg(feature = "redis-tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "redis-tls")))]
    pub fn client_certificate(
        mut self,
        certificate: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Self {
        self.trust.own = Some((certificate.into(), key.into()));
        self
    }

    /// Connects to Redis or Valkey: `redis://user:password@host:port/database`, `unix:///path`, or with the
    /// feature `redis-tls` `rediss://`.
    ///
    /// Five seconds is how long it may take, whatever the time limit of a call: until then it is tried again where
    /// nobody answers, or somebody who is not ready, so that a store that starts at the same time will do.
    ///
    /// The connection is shared by all calls. It is made anew when it breaks, when the store turns out to be a replica
    /// now, and when it has been silent for a second, as it is when a host is gone without a word; then after two
    /// seconds, four, and so on up to 30 for as long as nobody answers. There are at most 20 attempts a second, each of
    /// which may take two seconds, or two time limits if that is more, and no call waits for one longer than it may take.
    ///
    /// # Errors
    ///
    /// If no server that is ready answers within five seconds, its certificate is not trusted, user or password are
    /// wrong or do not allow what is needed, the server is older than 6.0, or its `maxmemory-policy` lets it forget any
    /// key. What is needed, in the words of an access list: `~{rate-limit:* +info +eval +evalsha +time +getrange
    /// +setrange +del +pexpire +hget +hset +hgetall +hdel`, with the prefix for `rate-limit`.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is done, it leaves nothing but a connection that is closed.
    pub async fn connect(mut self, url: &str) -> Result<(SharedStore, StoreDriver), ConnectError> {
        let trust = std::mem::take(&mut self.trust);
        let server = Server::connect(url, trust, &self.prefix, self.time_limit).await?;
        Ok(SharedStore::new(Backend::Server(Box::new(server)), self))
    }

    /// Connects to a cluster of which some nodes are at these URLs. Each partition lives in one hash slot.
    ///
    /// Each step of connecting to a node may take two seconds, or two time limits if that is more. The client follows
    /// slots as they move; where it cannot, because a node is silent, all connections are made anew as with one server.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), where one node that will not do is enough.
    ///
    /// # Cancel safety
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_cluster<I>(
        mut self,
        urls: I,
    ) -> Result<(SharedStore, StoreDriver), ConnectError>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let urls = urls.into_iter().map(Into::into).collect();
        let trust = std::mem::take(&mut self.trust);
        let server = Server::connect_cluster(urls, trust, &self.prefix, self.time_limit).await?;
        Ok(SharedStore::new(Backend::Server(Box::new(server)), self))
    }

    /// Joins a store in this process, as one more instance.
    pub fn join(self, store: &LocalStore) -> (SharedStore, StoreDriver) {
        SharedStore::new(Backend::Local(store.clone()), self)
    }
}

impl fmt::Debug for SharedStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedStoreBuilder")
            .field("outage", &self.outage)
            .field("time_limit", &self.time_limit)
            .field("prefix", &self.prefix)
            .field("instance", &self.instance)
            .finish_non_exhaustive()
    }
}

/// A random number from the seed that the standard library takes for its maps.
fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};

    RandomState::new().hash_one(std::process::id())
}
