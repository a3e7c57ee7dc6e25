//! Where an endpoint may be: nowhere inside the deployment's own network, unless that is wanted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// The longest address of an endpoint.
pub const URL_BYTES_MAX: usize = 1_024;

/// An endpoint's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    url: Url,
    host: Host<String>,
    port: u16,
}

/// Why nothing can be sent there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTarget {
    #[error("an endpoint is a URL such as https://example.com/alerts")]
    NotAUrl,
    #[error("a URL has at most {URL_BYTES_MAX} bytes")]
    TooLong,
    #[error("only http and https")]
    Scheme,
    #[error("a URL carries no user and no password: requests are signed")]
    Credentials,
    #[error("a private or local address, which webhooks.allow_private would have to allow")]
    Private,
}

impl Target {
    /// Reads an address. Names are looked up when something is sent, and judged then.
    ///
    /// # Errors
    /// What is the matter with it.
    pub fn parse(text: &str, allow_private: bool) -> Result<Self, BadTarget> {
        if text.len() > URL_BYTES_MAX {
            return Err(BadTarget::TooLong);
        }
        let url = Url::parse(text).map_err(|_| BadTarget::NotAUrl)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(BadTarget::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BadTarget::Credentials);
        }
        let host = url.host().ok_or(BadTarget::NotAUrl)?.to_owned();
        let port = url.port_or_known_default().ok_or(BadTarget::NotAUrl)?;
        let private = match &host {
            Host::Domain(name) => is_local_name(name),
            Host::Ipv4(address) => !is_public(IpAddr::V4(*address)),
            Host::Ipv6(address) => !is_public(IpAddr::V6(*address)),
        };
        if private && !allow_private {
            return Err(BadTarget::Private);
        }
        Ok(Self { url, host, port })
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// The name to look up and to hold the certificate against; an IPv6 address without brackets.
    pub(crate) fn host(&self) -> String {
        match &self.host {
            Host::Domain(name) => name.clone(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The header `Host`.
    pub(crate) fn authority(&self) -> String {
        match self.url.port() {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.to_string(),
        }
    }

    /// Path and query, as a request line has them.
    pub(crate) fn path(&self) -> String {
        match self.url.query() {
            Some(query) => format!("{}?{query}", self.url.path()),
            None => self.url.path().to_owned(),
        }
    }
}

/// Names that never lead out of a network (RFC 6761, RFC 6762, RFC 9476 and custom).
fn is_local_name(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    !name.contains('.')
        || [".localhost", ".local", ".internal", ".lan", ".home.arpa"]
            .iter()
            .any(|suffix| name.ends_with(suffix))
}

/// Whether an address is of the public internet. Source: IANA's registries of special-purpose
/// addresses; an address that carries an IPv4 one is judged by that.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = match a {
        0 | 10 | 127 => true,
        100 => (64..128).contains(&b),
        169 => b == 254,
        172 => (16..32).contains(&b),
        192 => matches!((b, c), (0, 0) | (0, 2) | (88, 99) | (168, _)),
        198 => matches!((b, c), (18 | 19, _) | (51, 100)),
        203 => (b, c) == (0, 113),
        // Multicast, reserved, broadcast.
        224.. => true,
        _ => false,
    };
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let low_v4 = || {
        let [high, low] = [segments[6].to_be_bytes(), segments[7].to_be_bytes()];
        Ipv4Addr::new(high[0], high[1], low[0], low[1])
    };
    match segments {
        // ::, ::1, ::a.b.c.d and ::ffff:a.b.c.d
        [0, 0, 0, 0, 0, 0xffff, ..] => is_public_v4(low_v4()),
        [0, 0, 0, 0, 0, 0, ..] => false,
        // NAT64
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => is_public_v4(low_v4()),
        // 6to4 carries the IPv4 address after its prefix.
        [0x2002, high, low, ..] => {
            let [high, low] = [high.to_be_bytes(), low.to_be_bytes()];
            is_public_v4(Ipv4Addr::new(high[0], high[1], low[0], low[1]))
        }
        // Teredo, ORCHID, benchmarking (2001::/23), and documentation.
        [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => false,
        // Of the rest only 2000::/3 is given out.
        [first, ..] => (0x2000..0x4000).contains(&first) && first != 0x3fff,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_addresses_and_all_others() {
        for public in [
            "1.1.1.1",
            "93.184.216.34",
            "172.15.0.1",
            "172.32.0.1",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
            "2002:101:101::1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for private in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "192.0.0.8",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "2002:7f00:1::",
            "fc00::1",
            "fd00::1",
            "fe80::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "3fff::1",
            "4000::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
    }

    #[test]
    fn what_an_endpoint_may_look_like() {
        let parse = |text| {
            Target::parse(text, false).map(|target| {
                (target.is_tls(), target.host(), target.port(), target.authority(), target.path())
            })
        };
        let told = |tls, host: &str, port, authority: &str, path: &str| {
            Ok((tls, host.to_owned(), port, authority.to_owned(), path.to_owned()))
        };
        assert_eq!(
            parse("https://example.com"),
            told(true, "example.com", 443, "example.com", "/")
        );
        assert_eq!(
            parse("http://example.com:8080/a/b?c=d#e"),
            told(false, "example.com", 8080, "example.com:8080", "/a/b?c=d")
        );
        assert_eq!(
            parse("https://[2606:4700::1111]/x"),
            told(true, "2606:4700::1111", 443, "[2606:4700::1111]", "/x")
        );
        for (text, why) in [
            ("", BadTarget::NotAUrl),
            ("example.com/alerts", BadTarget::NotAUrl),
            ("https://", BadTarget::NotAUrl),
            ("ftp://example.com", BadTarget::Scheme),
            ("file:///etc/passwd", BadTarget::Scheme),
            ("https://user@example.com", BadTarget::Credentials),
            ("https://user:secret@example.com", BadTarget::Credentials),
            ("http://localhost:80", BadTarget::Private),
            ("http://LOCALHOST./", BadTarget::Private),
            ("http://db.internal", BadTarget::Private),
            ("http://intranet/", BadTarget::Private),
            // Other spellings of 127.0.0.1.
            ("http://2130706433/", BadTarget::Private),
            ("http://0x7f.1/", BadTarget::Private),
            ("http://0177.0.0.1/", BadTarget::Private),
            ("http://[::ffff:127.0.0.1]/", BadTarget::Private),
        ] {
            assert_eq!(parse(text), Err(why), "{text}");
        }
        assert_eq!(
            parse(&format!("https://example.com/{}", "a".repeat(1_024))),
            Err(BadTarget::TooLong)
        );
        assert!(Target::parse("http://127.0.0.1:9/", true).is_ok());
    }
}
