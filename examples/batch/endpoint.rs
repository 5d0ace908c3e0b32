use std::net::IpAddr;

use anyhow::{Context, Result, bail};
use http::Uri;
use http::uri::{Authority, Scheme};

/// Where requests go: the base URL that OpenAI clients are given, such as
/// `https://dashscope.aliyuncs.com/compatible-mode/v1`.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    scheme: Scheme,
    authority: Authority,
    /// Without a slash at its end.
    path: String,
}

impl Endpoint {
    /// Reads a base URL.
    ///
    /// # Errors
    ///
    /// Fails if it is no http or https URL, or carries a user, a query or a password.
    pub(crate) fn parse(given: &str) -> Result<Self> {
        let uri: Uri = given
            .trim()
            .parse()
            .ok()
            .with_context(|| wrong("is no URL"))?;
        let parts = uri.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            bail!(wrong("must begin with http:// or https://"));
        };
        if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
            bail!(wrong("must begin with http:// or https://"));
        }
        if authority.as_str().contains('@') {
            bail!(wrong(
                "must not hold a user or password; keys are given by --key"
            ));
        }
        let path_and_query = parts.path_and_query;
        if path_and_query
            .as_ref()
            .is_some_and(|path| path.query().is_some())
        {
            bail!(wrong("must not hold a query"));
        }
        let path = path_and_query.map_or(String::new(), |path| {
            path.path().trim_end_matches('/').to_owned()
        });
        Ok(Self {
            scheme,
            authority,
            path,
        })
    }

    /// The URL of a line's `url`, such as `/v1/chat/completions`.
    ///
    /// A base that ends in the segment the line begins with has it once: both name the version.
    pub(crate) fn url(&self, url: &str) -> Result<Uri, http::Error> {
        let first = url.find('/').and_then(|start| {
            url[start + 1..]
                .find('/')
                .map(|end| &url[start..=start + end])
        });
        let rest = match first {
            Some(segment) if self.path.ends_with(segment) => &url[segment.len()..],
            _ => url,
        };
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(format!("{}{rest}", self.path))
            .build()
    }

    /// The host, for people and to choose a profile by.
    pub(crate) fn host(&self) -> &str {
        self.authority.host()
    }

    /// The host and port, for people.
    pub(crate) fn authority(&self) -> &str {
        self.authority.as_str()
    }

    /// Whether it is this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        let host = self.host().trim_matches(['[', ']']);
        host.eq_ignore_ascii_case("localhost")
            || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    }

    /// Whether keys would cross a network in the clear.
    pub(crate) fn exposes_keys(&self) -> bool {
        self.scheme == Scheme::HTTP && !self.is_loopback()
    }
}

fn wrong(what: &str) -> String {
    format!(
        "--base-url {what}; it should look like https://dashscope.aliyuncs.com/compatible-mode/v1"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(base: &str, url: &str) -> String {
        Endpoint::parse(base).unwrap().url(url).unwrap().to_string()
    }

    #[test]
    fn the_version_stands_in_the_url_once() {
        let chat = "/v1/chat/completions";
        assert_eq!(
            joined("https://h/compatible-mode/v1", chat),
            "https://h/compatible-mode/v1/chat/completions"
        );
        assert_eq!(
            joined("https://h/compatible-mode/v1/", chat),
            "https://h/compatible-mode/v1/chat/completions"
        );
        assert_eq!(
            joined("http://127.0.0.1:9/v1", chat),
            "http://127.0.0.1:9/v1/chat/completions"
        );
        assert_eq!(
            joined("http://127.0.0.1:9", chat),
            "http://127.0.0.1:9/v1/chat/completions"
        );
        assert_eq!(joined("http://h/v1", "/v1"), "http://h/v1/v1");
        assert_eq!(joined("http://h/x", "/embeddings"), "http://h/x/embeddings");
    }

    #[test]
    fn says_what_is_wrong_with_a_base_url() {
        for given in [
            "",
            "dashscope",
            "/v1",
            "ftp://h/",
            "http://",
            "http://u:p@h/",
            "http://h/?a=1",
            "http://h h/",
        ] {
            let error = Endpoint::parse(given).unwrap_err().to_string();
            assert!(error.starts_with("--base-url "), "{given}: {error}");
        }
    }

    #[test]
    fn keys_in_the_clear_are_noticed() {
        for (base, exposes) in [
            ("http://127.0.0.1:1", false),
            ("http://[::1]:1", false),
            ("http://localhost/v1", false),
            ("https://h", false),
            ("http://h", true),
        ] {
            assert_eq!(
                Endpoint::parse(base).unwrap().exposes_keys(),
                exposes,
                "{base}"
            );
        }
    }
}
