//! What keeps messages out of our own network: whoever can write a webhook's address, or answer for its name,
//! must not reach what only this machine can (SSRF). Names are resolved here, every answer is looked at, and
//! the connection goes to the address looked at.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// The target may not be reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{host} is at {address}, which is not a public address; `private: true` allows it")]
pub struct Refused {
    host: String,
    address: IpAddr,
}

/// Whether an address may be a target, as far as it says so itself.
///
/// # Errors
/// Why not.
pub fn check_url(url: &Url, private: bool) -> Result<(), String> {
    match url.scheme() {
        "https" => {}
        "http" if private => {}
        "http" => return Err("it is not encrypted".to_owned()),
        other => return Err(format!("{other} is not spoken")),
    }
    if private {
        return Ok(());
    }
    let address = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address),
        Some(Host::Domain(name)) if is_local_name(name) => {
            return Err(format!("{name} is a name of this machine"));
        }
        _ => return Ok(()),
    };
    if is_public(address) { Ok(()) } else { Err(format!("{address} is not a public address")) }
}

fn is_local_name(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

/// Whether an address is one of the public internet.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        || a == 0
        || a >= 240
        // Shared by carriers, protocol assignments, benchmarking.
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (18..20).contains(&b));
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let parts = address.segments();
    let [a, b, ..] = parts;
    let embedded = |high: u16, low: u16| {
        let [h0, h1] = high.to_be_bytes();
        let [l0, l1] = low.to_be_bytes();
        is_public_v4(Ipv4Addr::new(h0, h1, l0, l1))
    };
    if let Some(v4) = address.to_ipv4_mapped() {
        return is_public_v4(v4);
    }
    match parts {
        // NAT64 and 6to4 carry an IPv4 address.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => return embedded(high, low),
        [0x2002, high, low, ..] => return embedded(high, low),
        _ => {}
    }
    // Global unicast is 2000::/3; of it, documentation and Teredo are not for us.
    (a & 0xe000) == 0x2000 && !(a == 0x2001 && (b == 0x0db8 || b == 0))
}

/// Resolves names for the HTTP client.
#[derive(Debug, Clone, Copy)]
pub struct Resolver {
    /// Whether any address is good.
    pub private: bool,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(resolve(name.as_str().to_owned(), self.private))
    }
}

async fn resolve(host: String, private: bool) -> Result<Addrs, Box<dyn Error + Send + Sync>> {
    let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
    let checked = if private { found } else { vet(&host, found)? };
    let addresses: Addrs = Box::new(checked.into_iter());
    Ok(addresses)
}

/// All answers must be public: one that is not among them is no accident.
fn vet(host: &str, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Refused> {
    match found.iter().find(|address| !is_public(address.ip())) {
        Some(address) => Err(Refused { host: host.to_owned(), address: address.ip() }),
        None => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_ones_own_network_are_not_public() {
        for address in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "198.18.0.1",
            "192.0.0.8",
            "240.0.0.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:a00:1::",
            "2001:db8::1",
            "fec0::1",
            "2001:0:1::",
        ] {
            assert!(!is_public(address.parse().expect("address")), "{address}");
        }
        for address in [
            "8.8.8.8",
            "1.1.1.1",
            "172.15.0.1",
            "2606:4700::1111",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
        ] {
            assert!(is_public(address.parse().expect("address")), "{address}");
        }
    }

    #[test]
    fn every_spelling_of_loopback_is_refused_and_plain_http_is() {
        let check = |url: &str, private| check_url(&Url::parse(url).expect("a URL"), private);
        for url in [
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://[::1]/",
            "https://localhost/",
            "https://LOCALHOST./",
            "https://a.localhost/",
            "https://[::ffff:127.0.0.1]/",
            "http://example.com/",
            "ftp://example.com/",
        ] {
            assert!(check(url, false).is_err(), "{url}");
        }
        assert_eq!(check("https://hooks.example.com/x", false), Ok(()));
        assert_eq!(check("http://127.0.0.1:9/x", true), Ok(()));
    }

    #[test]
    fn one_private_answer_among_public_ones_refuses_the_name() {
        let at = |text: &str| SocketAddr::new(text.parse().expect("address"), 0);
        assert!(vet("a", vec![at("8.8.8.8"), at("10.0.0.1")]).is_err());
        assert_eq!(vet("a", vec![at("8.8.8.8")]), Ok(vec![at("8.8.8.8")]));
    }
}
