use std::net::IpAddr;

use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};

use crate::endpoint::Endpoint;

/// The base URL of a provider, such as `https://dashscope.aliyuncs.com/compatible-mode/v1`, with the
/// URL of each endpoint ready.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Base {
    scheme: Scheme,
    authority: Authority,
    paths: [PathAndQuery; Endpoint::COUNT],
}

impl Base {
    /// Reads a base URL.
    ///
    /// # Errors
    ///
    /// It is no `http` or `https` URL, or holds a user, a password or a query.
    pub(crate) fn parse(given: &str) -> Result<Self, String> {
        let like = "it should look like `https://dashscope.aliyuncs.com/compatible-mode/v1`";
        let no_url = |_| format!("`{given}` is no URL; {like}");
        let parts = given.parse::<Uri>().map_err(no_url)?.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(format!("the URL has no scheme or no host; {like}"));
        };
        if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
            return Err(format!("only http and https are known; {like}"));
        }
        if authority.as_str().contains('@') {
            return Err(format!("a URL is no place for a password; {like}"));
        }
        let path = parts
            .path_and_query
            .unwrap_or(PathAndQuery::from_static("/"));
        if path.query().is_some() {
            return Err(format!("the URL holds a query; {like}"));
        }
        let prefix = path.path().trim_end_matches('/');
        let mut paths = [const { PathAndQuery::from_static("/") }; Endpoint::COUNT];
        for endpoint in Endpoint::ALL {
            let joined = format!("{prefix}/{}", endpoint.path());
            paths[endpoint as usize] = PathAndQuery::try_from(joined).map_err(|_| like)?;
        }
        Ok(Self {
            scheme,
            authority,
            paths,
        })
    }

    /// The URL of an endpoint, which is given by its [path and query](Endpoint::with_query).
    pub(crate) fn url(&self, endpoint: &Uri) -> Option<Uri> {
        let known = Endpoint::of(endpoint.path().strip_prefix('/')?)?;
        let path = &self.paths[known as usize];
        let path = match endpoint.query() {
            None => path.clone(),
            Some(query) => PathAndQuery::try_from(format!("{path}?{query}")).ok()?,
        };
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path);
        Uri::from_parts(parts).ok()
    }

    /// Stands in for a base that cannot be read until that is said.
    pub(super) fn nowhere() -> Self {
        Self {
            scheme: Scheme::HTTPS,
            authority: Authority::from_static("invalid"),
            paths: [const { PathAndQuery::from_static("/") }; Endpoint::COUNT],
        }
    }

    /// The host, by which a profile is chosen and to which alone the keys go.
    pub(crate) fn host(&self) -> &str {
        self.authority.host()
    }

    /// Whether keys would cross a network in the clear.
    pub(crate) fn exposes_keys(&self) -> bool {
        let host = self.host().trim_matches(['[', ']']);
        let loopback = host.eq_ignore_ascii_case("localhost")
            || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        self.scheme == Scheme::HTTP && !loopback
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_follows_the_base() {
        for (given, chat) in [
            (
                "https://h/compatible-mode/v1",
                "https://h/compatible-mode/v1/chat/completions",
            ),
            ("https://h/v1/", "https://h/v1/chat/completions"),
            ("http://127.0.0.1:1", "http://127.0.0.1:1/chat/completions"),
        ] {
            let base = Base::parse(given).unwrap();
            let url = base.url(&Endpoint::Chat.with_query(None)).unwrap();
            assert_eq!(url.to_string(), chat);
        }
        let base = Base::parse("https://h/v1").unwrap();
        let embeddings = Endpoint::Embeddings.with_query(Some("a=b&c"));
        let url = base.url(&embeddings).unwrap();
        assert_eq!(url.to_string(), "https://h/v1/embeddings?a=b&c");
    }

    #[test]
    fn says_what_is_wrong_with_a_base_url() {
        for given in [
            "",
            "h h",
            "/v1",
            "ftp://h/",
            "http://u:p@h/",
            "http://h/?a=1",
        ] {
            assert!(Base::parse(given).is_err(), "{given}");
        }
    }

    #[test]
    fn keys_in_the_clear_are_noticed() {
        for (base, exposes) in [
            ("http://127.0.0.1:1", false),
            ("http://[::1]:1", false),
            ("https://h", false),
            ("http://h", true),
        ] {
            assert_eq!(Base::parse(base).unwrap().exposes_keys(), exposes, "{base}");
        }
    }
}
