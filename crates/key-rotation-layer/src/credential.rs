use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::{PathAndQuery, Uri};
use secrecy::{ExposeSecret, SecretString};

/// Where a request carries its key.
///
/// A value the request has there already is replaced: the pool decides.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Credential(Place);

#[derive(Clone, Debug, Default, Eq, PartialEq)]
enum Place {
    #[default]
    Bearer,
    Header(HeaderName),
    Query(Box<str>),
}

impl Credential {
    /// `Authorization: Bearer KEY`, as OpenAI and Model Studio want it. The default.
    #[must_use]
    pub const fn bearer() -> Self {
        Self(Place::Bearer)
    }

    /// A header whose value is the key, such as Anthropic's `x-api-key` or Azure's `api-key`.
    #[must_use]
    pub const fn header(name: HeaderName) -> Self {
        Self(Place::Header(name))
    }

    /// A query parameter, such as Gemini's `key`.
    ///
    /// URLs end up in the logs of proxies and in error messages of clients, and cannot be marked
    /// sensitive: prefer a header where the provider has one.
    #[must_use]
    pub fn query(name: impl Into<Box<str>>) -> Self {
        Self(Place::Query(name.into()))
    }

    /// Whether `secret` can be sent at all.
    pub(crate) fn accepts(secret: &SecretString) -> bool {
        secret
            .expose_secret()
            .bytes()
            .all(|byte| matches!(byte, 0x20..=0x7e))
    }

    /// Puts the key into a request.
    pub(crate) fn apply(&self, secret: &SecretString, parts: &mut Parts) {
        let secret = secret.expose_secret();
        match &self.0 {
            Place::Bearer => insert(parts, &AUTHORIZATION, &["Bearer ", secret]),
            Place::Header(name) => insert(parts, name, &[secret]),
            Place::Query(name) => set_query(&mut parts.uri, name, secret),
        }
    }
}

fn insert(parts: &mut Parts, name: &HeaderName, value: &[&str]) {
    // Never fails: the characters were checked when the key came in.
    let Ok(mut value) = HeaderValue::from_maybe_shared(Bytes::from(value.concat())) else {
        return;
    };
    value.set_sensitive(true);
    let headers = &mut parts.headers;
    let is_alone = headers.get_all(name).iter().nth(1).is_none();
    match headers.get_mut(name).filter(|_| is_alone) {
        Some(present) => *present = value, // `insert` would make room for one more first
        None => drop(headers.insert(name, value)),
    }
}

/// Sets a query parameter, replacing one of this name, at the end.
fn set_query(uri: &mut Uri, name: &str, secret: &str) {
    let mut query = String::from(uri.path());
    let others = uri.query().unwrap_or_default().split('&').filter(|pair| {
        let taken = pair.split('=').next() == Some(name);
        !pair.is_empty() && !taken
    });
    let mut separator = '?';
    for pair in others {
        query.push(separator);
        query.push_str(pair);
        separator = '&';
    }
    query.push(separator);
    query.push_str(name);
    query.push('=');
    for byte in secret.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            query.push(char::from(byte));
        } else {
            const HEX: &[u8; 16] = b"0123456789ABCDEF";
            query.extend([
                '%',
                char::from(HEX[usize::from(byte >> 4)]),
                char::from(HEX[usize::from(byte & 15)]),
            ]);
        }
    }
    let mut parts = uri.clone().into_parts();
    if let Ok(path_and_query) = PathAndQuery::from_maybe_shared(Bytes::from(query)) {
        parts.path_and_query = Some(path_and_query);
        if let Ok(keyed) = Uri::from_parts(parts) {
            *uri = keyed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyed(uri: &str, secret: &str) -> String {
        let mut uri: Uri = uri.parse().unwrap();
        set_query(&mut uri, "key", secret);
        uri.to_string()
    }

    #[test]
    fn sets_a_query_parameter() {
        assert_eq!(
            keyed("https://g.example/v1/m:go", "AI-1"),
            "https://g.example/v1/m:go?key=AI-1"
        );
        assert_eq!(
            keyed("https://g.example/m?alt=sse&key=old&keys=7", "a&b=c%"),
            "https://g.example/m?alt=sse&keys=7&key=a%26b%3Dc%25"
        );
        assert_eq!(keyed("/m?key", "x"), "/m?key=x");
    }

    #[test]
    fn a_header_is_set_once_whatever_was_there() {
        let secret = SecretString::from("sk-1");
        for there in [&[][..], &["old"], &["old", "older", "oldest"]] {
            let (mut parts, ()) = http::Request::new(()).into_parts();
            for value in there {
                let value = HeaderValue::from_static(value);
                parts.headers.append(AUTHORIZATION, value);
            }
            Credential::bearer().apply(&secret, &mut parts);
            let set: Vec<_> = parts.headers.get_all(AUTHORIZATION).iter().collect();
            assert_eq!(set, ["Bearer sk-1"]);
            assert!(set[0].is_sensitive());
        }
    }

    #[test]
    fn refuses_what_no_header_can_carry() {
        for bad in ["a\nb", "a\0", "schlüssel", "\u{7f}"] {
            assert!(!Credential::accepts(&SecretString::from(bad)), "{bad:?}");
        }
        assert!(Credential::accepts(&SecretString::from("sk-a1 !~")));
    }
}
