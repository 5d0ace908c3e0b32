use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;

/// The address of a client behind proxies: the last in `X-Forwarded-For` that is not one of
/// `trusted`, if `peer`, whom the connection is with, is.
///
/// Whatever stands before that anyone may have written. Without the field, or if all of it is
/// trusted, it is the peer's. An IPv4 address that IPv6 maps is the IPv4 address: a server that
/// listens on both sees its IPv4 peers so.
#[must_use]
pub fn client_ip(headers: &HeaderMap, peer: IpAddr, trusted: &[IpAddr]) -> IpAddr {
    let peer = peer.to_canonical();
    let is_trusted = |ip: IpAddr| trusted.iter().any(|proxy| proxy.to_canonical() == ip);
    let mut client = peer;
    let fields = headers.get_all("x-forwarded-for").into_iter().rev();
    let mut hops = fields.flat_map(|field| field.as_bytes().rsplit(|byte| *byte == b','));
    while is_trusted(client) {
        let Some(hop) = hops.next() else { return peer };
        let hop = std::str::from_utf8(hop).ok().map(str::trim);
        let Some(hop) = hop.and_then(address) else {
            return client;
        };
        client = hop;
    }
    client
}

/// An address as proxies write it: some add the port, and then brackets around IPv6.
fn address(hop: &str) -> Option<IpAddr> {
    let bare = || hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || Some(hop.parse::<SocketAddr>().ok()?.ip());
    let ip: IpAddr = hop.parse().ok().or_else(with_port).or_else(bare)?;
    Some(ip.to_canonical())
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
    fn reads_addresses_in_whatever_form_they_come() {
        assert_eq!(client(&["9.9.9.9"], "::ffff:10.0.0.1"), "9.9.9.9");
        assert_eq!(client(&["::ffff:9.9.9.9"], "10.0.0.1"), "9.9.9.9");
        assert_eq!(client(&[], "::ffff:8.8.8.8"), "8.8.8.8");
        assert_eq!(client(&["9.9.9.9:4711"], "10.0.0.1"), "9.9.9.9");
        assert_eq!(client(&["[2001:db8::1]:4711"], "10.0.0.1"), "2001:db8::1");
        assert_eq!(client(&["[2001:db8::1]"], "10.0.0.1"), "2001:db8::1");
        assert_eq!(client(&["2001:db8::1"], "10.0.0.1"), "2001:db8::1");
        let mapped = ["::ffff:10.0.0.1".parse().unwrap()];
        let headers = HeaderMap::from_iter([(
            http::HeaderName::from_static("x-forwarded-for"),
            HeaderValue::from_static("9.9.9.9"),
        )]);
        let peer = "10.0.0.1".parse().unwrap();
        assert_eq!(client_ip(&headers, peer, &mapped).to_string(), "9.9.9.9");
    }

    #[test]
    fn falls_back_to_whom_it_knows() {
        assert_eq!(client(&[], "10.0.0.1"), "10.0.0.1");
        assert_eq!(client(&["10.0.0.2"], "10.0.0.1"), "10.0.0.1");
        assert_eq!(client(&["1.1.1.1, unknown"], "10.0.0.1"), "10.0.0.1");
    }
}
