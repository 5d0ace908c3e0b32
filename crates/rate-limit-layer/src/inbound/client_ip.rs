use std::net::IpAddr;

use http::HeaderMap;

/// The address of a client behind proxies: the last in `X-Forwarded-For` that is not one of
/// `trusted`, if `peer`, whom the connection is with, is.
///
/// Whatever stands before that anyone may have written. Without the field, or if all of it is
/// trusted, it is the peer's.
#[must_use]
pub fn client_ip(headers: &HeaderMap, peer: IpAddr, trusted: &[IpAddr]) -> IpAddr {
    let mut client = peer;
    let fields = headers.get_all("x-forwarded-for").into_iter().rev();
    let mut hops = fields.flat_map(|field| field.as_bytes().rsplit(|byte| *byte == b','));
    while trusted.contains(&client) {
        let Some(hop) = hops.next() else { return peer };
        let hop = std::str::from_utf8(hop)
            .ok()
            .and_then(|hop| hop.trim().parse().ok());
        let Some(hop) = hop else { return client };
        client = hop;
    }
    client
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn client(fields: &[&'static str], peer: &str) -> String {
        let fields = fields.iter().map(|field| {
            let name = http::HeaderName::from_static("x-forwarded-for");
            (name, HeaderValue::from_static(field))
        });
        let trusted = ["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()];
        client_ip(&fields.collect(), peer.parse().unwrap(), &trusted).to_string()
    }

    #[test]
    fn believes_only_what_trusted_proxies_wrote() {
        assert_eq!(client(&["9.9.9.9"], "8.8.8.8"), "8.8.8.8");
        assert_eq!(client(&["9.9.9.9"], "10.0.0.1"), "9.9.9.9");
        assert_eq!(
            client(&["1.1.1.1, 9.9.9.9, 10.0.0.2"], "10.0.0.1"),
            "9.9.9.9"
        );
        assert_eq!(
            client(&["1.1.1.1", "9.9.9.9,10.0.0.2"], "10.0.0.1"),
            "9.9.9.9"
        );
    }

    #[test]
    fn falls_back_to_whom_it_knows() {
        assert_eq!(client(&[], "10.0.0.1"), "10.0.0.1");
        assert_eq!(client(&["10.0.0.2"], "10.0.0.1"), "10.0.0.1");
        assert_eq!(client(&["1.1.1.1, unknown"], "10.0.0.1"), "10.0.0.1");
    }
}
