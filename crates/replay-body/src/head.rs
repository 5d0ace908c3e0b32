use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};

/// The head of a request, kept while the request itself is sent, to be sent again.
///
/// Nearly every request is answered and its copy thrown away, so keeping is what has to be cheap: the
/// headers are copied into one piece of memory, rather than one by one with a count of references each.
/// Making a request of them again costs what parsing them does.
///
/// Extensions are not part of it.
///
/// # Example
///
/// ```
/// use http::Request;
/// use replay_body::KeptHead;
///
/// let request = Request::post("https://api.example.com/v1").header("x-tenant", "a").body("text").unwrap();
/// let kept = KeptHead::of(&request);
/// drop(request);
/// let again = kept.request("text");
/// assert_eq!(again.headers()["x-tenant"], "a");
/// ```
pub struct KeptHead {
    method: Method,
    uri: Uri,
    version: Version,
    headers: Packed,
}

impl KeptHead {
    /// Keeps a copy of the head of `request`.
    #[must_use]
    pub fn of<B>(request: &Request<B>) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            headers: Packed::of(request.headers()),
        }
    }

    /// Where the request goes.
    #[must_use]
    pub const fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Its headers, made anew.
    #[must_use]
    pub fn headers(&self) -> HeaderMap {
        self.headers.unpack()
    }

    /// The first value of a header, by its name in lower case. Nothing is made anew for it.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let mut headers = Packed::iter(&self.headers.bytes);
        headers.find_map(|one| (one.name == name.as_bytes()).then_some(one.value))
    }

    /// Makes a request of it, with this body.
    pub fn request<B>(&self, body: B) -> Request<B> {
        let mut request = Request::new(body);
        request.method_mut().clone_from(&self.method);
        request.uri_mut().clone_from(&self.uri);
        *request.version_mut() = self.version;
        *request.headers_mut() = self.headers.unpack();
        request
    }
}

impl fmt::Debug for KeptHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers, and queries, carry keys.
        f.debug_struct("KeptHead")
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

/// Headers in one piece: of each the lengths of its name and value, whether it is sensitive, and both.
struct Packed {
    // Of names, not of values: a map takes more of those than `with_capacity` can be asked for.
    names: usize,
    bytes: Vec<u8>,
}

/// What stands before each header: the length of its name, that of its value, and the mark.
const LENGTHS: usize = 2 + 4 + 1;

impl Packed {
    fn of(headers: &HeaderMap) -> Self {
        let size = headers
            .iter()
            .map(|(name, value)| LENGTHS + name.as_str().len() + value.len())
            .sum();
        let mut bytes = Vec::with_capacity(size);
        for (name, value) in headers {
            let name = name.as_str().as_bytes();
            // `http` takes no name longer than this, and a value longer than that is no header.
            let (Ok(name_length), Ok(value_length)) =
                (u16::try_from(name.len()), u32::try_from(value.len()))
            else {
                continue;
            };
            let mut lengths = [0; LENGTHS];
            lengths[..2].copy_from_slice(&name_length.to_le_bytes());
            lengths[2..6].copy_from_slice(&value_length.to_le_bytes());
            lengths[6] = u8::from(value.is_sensitive());
            bytes.extend_from_slice(&lengths);
            bytes.extend_from_slice(name);
            bytes.extend_from_slice(value.as_bytes());
        }
        Self {
            names: headers.keys_len(),
            bytes,
        }
    }

    fn iter(mut rest: &[u8]) -> impl Iterator<Item = Header<'_>> {
        std::iter::from_fn(move || {
            let (lengths, after) = rest.split_first_chunk::<LENGTHS>()?;
            let name = usize::from(u16::from_le_bytes([lengths[0], lengths[1]]));
            let value = u32::from_le_bytes([lengths[2], lengths[3], lengths[4], lengths[5]]);
            let (name, after) = after.split_at_checked(name)?;
            let (value, after) = after.split_at_checked(value as usize)?;
            rest = after;
            Some(Header {
                name,
                value,
                is_sensitive: lengths[6] != 0,
            })
        })
    }

    fn unpack(&self) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(self.names);
        // The values share one copy, which costs one allocation rather than one each.
        let shared = Bytes::copy_from_slice(&self.bytes);
        for one in Self::iter(&shared) {
            // They were a name and a value when they were packed.
            if let (Ok(name), Ok(mut value)) = (
                HeaderName::from_bytes(one.name),
                HeaderValue::from_maybe_shared(shared.slice_ref(one.value)),
            ) {
                value.set_sensitive(one.is_sensitive);
                headers.append(name, value);
            }
        }
        headers
    }
}

/// One of them.
struct Header<'a> {
    name: &'a [u8],
    value: &'a [u8],
    is_sensitive: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_comes_back() {
        let mut secret = HeaderValue::from_static("Bearer sk-1");
        secret.set_sensitive(true);
        let mut request = Request::post("https://a.example/v1?x=1")
            .version(Version::HTTP_2)
            .header("authorization", secret)
            .header("x-none", "")
            .header("x-two", "1")
            .header("accept", "text/plain")
            .header("x-two", "2")
            .header("x-bytes", HeaderValue::from_bytes(b"\x80\xff\t").unwrap())
            .header("x-long", "y".repeat(70_000))
            .body(())
            .unwrap();
        let kept = KeptHead::of(&request);
        let again = kept.request(());
        assert_eq!(again.method(), request.method());
        assert_eq!(again.uri(), request.uri());
        assert_eq!(kept.uri(), request.uri());
        assert_eq!(again.version(), request.version());
        assert_eq!(again.headers(), request.headers());
        assert_eq!(kept.headers(), *request.headers());
        for name in request.headers().keys() {
            let value = &request.headers()[name];
            assert_eq!(kept.header(name.as_str()), Some(value.as_bytes()), "{name}");
        }
        assert_eq!(kept.header("x"), None);
        assert!(again.headers()["authorization"].is_sensitive());
        assert!(!again.headers()["accept"].is_sensitive());
        let both: Vec<_> = again.headers().get_all("x-two").iter().collect();
        assert_eq!(both, ["1", "2"]);

        request.headers_mut().clear();
        assert_eq!(KeptHead::of(&request).request(()).headers().len(), 0);
    }

    #[test]
    fn more_values_than_a_map_has_room_for_names_come_back() {
        let values = 40_000;
        let mut request = Request::new(());
        for value in 0..values {
            request.headers_mut().append("x-many", value.into());
        }
        let again = KeptHead::of(&request).headers();
        assert_eq!(again, *request.headers());
        assert_eq!(again.get_all("x-many").iter().count(), values);
    }

    #[test]
    fn shows_no_secret() {
        let request = Request::get("https://a.example/?key=sk-123456")
            .header("x-api-key", "sk-123456")
            .body(())
            .unwrap();
        assert!(!format!("{:?}", KeptHead::of(&request)).contains("sk-"));
    }
}
