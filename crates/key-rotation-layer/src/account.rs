use std::fmt;

use http::Uri;
use secrecy::SecretString;
use throttle_signal::AccountId;

use crate::credential::Credential;
use crate::{InvalidPool, key::Key};

/// An account: a name, the keys that share its quotas, and where they may be sent.
///
/// # Example
///
/// ```
/// use http::HeaderName;
/// use key_rotation_layer::{Account, Credential};
///
/// let account = Account::new("claude-eu")
///     .key("sk-ant-…".replace('…', "1"))
///     .credential(Credential::header(HeaderName::from_static("x-api-key")))
///     .host("api.anthropic.com");
/// assert!(!format!("{account:?}").contains("sk-ant-1"));
/// ```
#[must_use]
pub struct Account {
    pub(crate) id: AccountId,
    pub(crate) keys: Vec<SecretString>,
    pub(crate) credential: Credential,
    pub(crate) hosts: Vec<Box<str>>,
    pub(crate) weight: u32,
}

impl Account {
    /// Creates an account without keys, sent as `Authorization: Bearer` to any host.
    pub fn new(id: impl Into<AccountId>) -> Self {
        Self {
            id: id.into(),
            keys: Vec::new(),
            credential: Credential::bearer(),
            hosts: Vec::new(),
            weight: 1,
        }
    }

    /// Adds a key.
    pub fn key(mut self, key: impl Into<SecretString>) -> Self {
        self.keys.push(key.into());
        self
    }

    /// Adds keys.
    pub fn keys<K: Into<SecretString>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.keys.extend(keys.into_iter().map(Into::into));
        self
    }

    /// Sets where a request carries the key.
    pub fn credential(mut self, credential: Credential) -> Self {
        self.credential = credential;
        self
    }

    /// Allows a host: `api.example.com`, or `*.example.com` for those below it, without a port.
    ///
    /// With none, which is the default, the keys go wherever the request goes. With some, a request
    /// to any other host never carries a key of this account.
    pub fn host(mut self, host: impl Into<Box<str>>) -> Self {
        self.hosts.push(host.into());
        self
    }

    /// Sets its share of traffic for the weighted and the sticky choice, from 1. 0 counts as 1.
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = weight.max(1);
        self
    }

    /// Checks the keys and takes them over.
    pub(crate) fn take_keys(&mut self) -> Result<Vec<Key>, InvalidPool> {
        if self.keys.is_empty() {
            return Err(InvalidPool::NoKey(self.id.clone()));
        }
        self.keys
            .drain(..)
            .map(|secret| Key::checked(secret, &self.id))
            .collect()
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("id", &self.id)
            .field("keys", &self.keys.len())
            .field("credential", &self.credential)
            .field("hosts", &self.hosts)
            .field("weight", &self.weight)
            .finish()
    }
}

/// Whether `host` is one of `allowed`; an empty list allows all.
pub(crate) fn allows(allowed: &[Box<str>], host: Option<&str>) -> bool {
    let covers = |pattern: &str, host: &str| match pattern.strip_prefix('*') {
        Some(suffix) => {
            host.len() > suffix.len()
                && host.as_bytes()[host.len() - suffix.len()..]
                    .eq_ignore_ascii_case(suffix.as_bytes())
        }
        None => pattern.eq_ignore_ascii_case(host),
    };
    allowed.is_empty()
        || host.is_some_and(|host| allowed.iter().any(|pattern| covers(pattern, host)))
}

/// The host a request is for: of its URI, else of its `Host` header, without a port.
pub(crate) fn host<'a>(uri: &'a Uri, headers: &'a http::HeaderMap) -> Option<&'a str> {
    uri.host().or_else(|| {
        let host = headers.get(http::header::HOST)?.to_str().ok()?;
        // The port follows the last colon that is not inside an IPv6 literal.
        let bare = match host.rsplit_once(':') {
            Some((bare, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => bare,
            _ => host,
        };
        Some(bare)
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    #[test]
    fn allows_hosts_by_name_and_below_a_name() {
        let allowed: Vec<Box<str>> = vec!["api.example.com".into(), "*.aliyuncs.com".into()];
        for host in [
            "api.example.com",
            "API.Example.com",
            "dashscope.aliyuncs.com",
            "a.b.aliyuncs.com",
        ] {
            assert!(allows(&allowed, Some(host)), "{host}");
        }
        for host in [
            "example.com",
            "evil-aliyuncs.com",
            "aliyuncs.com",
            ".aliyuncs.com.evil",
            "api.example.com.evil",
        ] {
            assert!(!allows(&allowed, Some(host)), "{host}");
        }
        assert!(!allows(&allowed, None));
        assert!(allows(&[], None));
    }

    #[test]
    fn finds_the_host() {
        let mut headers = HeaderMap::new();
        assert_eq!(
            host(&Uri::from_static("https://a.example:8443/v1"), &headers),
            Some("a.example")
        );
        headers.insert("host", "b.example:80".parse().unwrap());
        assert_eq!(host(&Uri::from_static("/v1"), &headers), Some("b.example"));
        headers.insert("host", "[::1]".parse().unwrap());
        assert_eq!(host(&Uri::from_static("/v1"), &headers), Some("[::1]"));
    }
}
