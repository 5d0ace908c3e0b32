use std::error::Error;
use std::fmt;

/// Why the store cannot be used. It says what is wrong in one sentence, without the password.
#[derive(Debug)]
pub struct ConnectError {
    kind: Kind,
    source: Option<redis::RedisError>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Url,
    Tls,
    Certificate,
    Unreachable,
    NotReady(String),
    Auth,
    TooOld(String),
    Eviction(String),
    Refused,
}

impl ConnectError {
    pub(super) const fn new(kind: Kind) -> Self {
        Self { kind, source: None }
    }

    /// What an error of the client comes to.
    pub(super) fn of(error: redis::RedisError) -> Self {
        let said = error.to_string();
        let is_auth = error.kind() == redis::ErrorKind::AuthenticationFailed
            || matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM"))
            // What a node of a cluster says comes as the text of an error of the connection.
            || said.contains("AuthenticationFailed");
        let kind = if is_auth {
            Kind::Auth
        } else if said.contains("certificate") {
            // It comes as an error of the connection like any other.
            Kind::Certificate
        } else if said.contains("TLS") && error.kind() == redis::ErrorKind::InvalidClientConfig {
            Kind::Tls
        } else if error.kind() == redis::ErrorKind::InvalidClientConfig {
            Kind::Url
        } else if let Some(code @ ("LOADING" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN")) =
            error.code()
        {
            Kind::NotReady(code.to_owned())
        } else if error.is_io_error() || error.is_timeout() || error.is_connection_refusal() {
            Kind::Unreachable
        } else {
            Kind::Refused
        };
        Self {
            kind,
            source: Some(error),
        }
    }

    /// Whether the next attempt may find something else.
    pub(super) const fn may_pass(&self) -> bool {
        matches!(self.kind, Kind::Unreachable | Kind::NotReady(_))
    }

    /// Whether user and password are wrong, or do not allow what is needed.
    #[must_use]
    pub fn is_auth(&self) -> bool {
        self.kind == Kind::Auth
    }

    /// Whether the server may evict keys that are in use.
    #[must_use]
    pub const fn is_eviction_policy(&self) -> bool {
        matches!(self.kind, Kind::Eviction(_))
    }

    /// Whether the server is older than version 6.
    #[must_use]
    pub const fn is_too_old(&self) -> bool {
        matches!(self.kind, Kind::TooOld(_))
    }

    /// Whether the server's certificate is not trusted, or it does not trust ours.
    #[must_use]
    pub fn is_certificate(&self) -> bool {
        self.kind == Kind::Certificate
    }

    /// Whether no server answered, or none that is ready, for as long as connecting may take.
    #[must_use]
    pub const fn is_unreachable(&self) -> bool {
        self.may_pass()
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Url => write!(f, "the store's URL is not one of Redis"),
            Kind::Tls => write!(
                f,
                "the store's URL asks for TLS, for which rate-limit-layer has the feature `redis-tls`"
            ),
            Kind::Certificate => write!(f, "the certificate of the store is not trusted"),
            Kind::Unreachable => write!(
                f,
                "no Redis or Valkey answers at the store's URL within five seconds"
            ),
            Kind::NotReady(code) => write!(
                f,
                "the store is not ready within five seconds, it says {code}"
            ),
            Kind::Auth => write!(
                f,
                "the store refuses the user and password, or they do not allow EVAL, EVALSHA, INFO and keys of its prefix"
            ),
            Kind::TooOld(version) => {
                write!(
                    f,
                    "the store is version {version}, and 6.0 is the oldest that will do"
                )
            }
            Kind::Eviction(policy) => write!(
                f,
                "the store has maxmemory-policy {policy}, which forgets what was sent when memory is full: set it to noeviction"
            ),
            Kind::Refused => write!(f, "the store refuses what is needed"),
        }
    }
}

impl Error for ConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|error| error as _)
    }
}
