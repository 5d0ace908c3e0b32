use http::Request;
use http::header::{HOST, HeaderValue};
use http::uri::Authority;

/// Whom a request went to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Host<'a> {
    Authority(&'a Authority),
    Header(&'a str),
    Unknown,
}

impl<'a> Host<'a> {
    pub(crate) fn of_header(value: &'a [u8]) -> Self {
        std::str::from_utf8(value).map_or(Self::Unknown, Self::Header)
    }

    pub(crate) fn as_str(self) -> &'a str {
        match self {
            Self::Authority(authority) => authority.host(),
            Self::Header(host) => host.rsplit_once(':').map_or(host, |(host, _)| host),
            Self::Unknown => "",
        }
    }

    /// A text that ends as the host does. Finding where it begins costs more than all else there is
    /// to do for a success, and only a port has to be taken off for that.
    pub(crate) fn tail(self) -> &'a str {
        let whole = match self {
            Self::Authority(authority) => authority.as_str(),
            Self::Header(host) => host,
            Self::Unknown => "",
        };
        if whole.ends_with(|last: char| last.is_ascii_digit()) {
            self.as_str()
        } else {
            whole
        }
    }
}

/// The same, to keep, without a copy.
#[derive(Clone, Debug)]
pub(crate) enum KeptHost {
    Authority(Authority),
    Header(HeaderValue),
    Unknown,
}

impl KeptHost {
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        match request.uri().authority() {
            Some(authority) => Self::Authority(authority.clone()),
            None => request
                .headers()
                .get(HOST)
                .map_or(Self::Unknown, |host| Self::Header(host.clone())),
        }
    }

    pub(crate) fn get(&self) -> Host<'_> {
        match self {
            Self::Authority(authority) => Host::Authority(authority),
            Self::Header(value) => Host::of_header(value.as_bytes()),
            Self::Unknown => Host::Unknown,
        }
    }
}

impl From<Host<'_>> for KeptHost {
    fn from(host: Host<'_>) -> Self {
        match host {
            Host::Authority(authority) => Self::Authority(authority.clone()),
            Host::Header(host) => HeaderValue::from_str(host).map_or(Self::Unknown, Self::Header),
            Host::Unknown => Self::Unknown,
        }
    }
}
