use redis::cluster::ClusterClientBuilder;
use redis::{Client, RedisResult};

/// Whom to trust over TLS, and as whom to be known.
#[derive(Default)]
pub(super) struct Trust {
    /// What certificates are to be signed by, instead of what the system trusts; PEM.
    #[cfg(feature = "redis-tls")]
    pub(super) roots: Option<Vec<u8>>,

    /// A certificate of our own, and its key; PEM.
    #[cfg(feature = "redis-tls")]
    pub(super) own: Option<(Vec<u8>, Vec<u8>)>,
}

#[cfg(not(feature = "redis-tls"))]
#[allow(clippy::unused_self, reason = "there is no TLS")]
impl Trust {
    pub(super) fn client(self, url: &str) -> RedisResult<Client> {
        Client::open(url)
    }

    pub(super) fn cluster(self, builder: ClusterClientBuilder) -> ClusterClientBuilder {
        builder
    }
}

#[cfg(feature = "redis-tls")]
impl Trust {
    pub(super) fn client(self, url: &str) -> RedisResult<Client> {
        provide();
        match self.certificates() {
            Some(certificates) => Client::build_with_tls(url, certificates),
            None => Client::open(url),
        }
    }

    pub(super) fn cluster(self, builder: ClusterClientBuilder) -> ClusterClientBuilder {
        provide();
        match self.certificates() {
            Some(certificates) => builder.certs(certificates),
            None => builder,
        }
    }

    fn certificates(self) -> Option<redis::TlsCertificates> {
        if self.roots.is_none() && self.own.is_none() {
            return None;
        }
        let own = |(client_cert, client_key)| redis::ClientTlsConfig {
            client_cert,
            client_key,
        };
        Some(redis::TlsCertificates {
            client_tls: self.own.map(own),
            root_cert: self.roots,
        })
    }
}

/// rustls panics where it is not said what does its cryptography, as in a program that links two of them. Whoever said
/// it before decides.
#[cfg(feature = "redis-tls")]
fn provide() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
