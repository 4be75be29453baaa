//! `CIDR(@attribute, block, ...)`: blocks of IP addresses.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A block of addresses: those that share its first bits. IPv4 addresses written as IPv6
/// (`::ffff:10.0.0.1`) count as IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// First address, IPv4 in the low 32 bits.
    network: u128,
    prefix: u8,
    is_v6: bool,
}

impl Block {
    /// Whether `text` is an address of the block.
    pub fn contains(&self, text: &str) -> bool {
        let Ok(address) = text.parse::<IpAddr>() else { return false };
        let (bits, is_v6) = bits(address);
        is_v6 == self.is_v6 && bits & mask(self.prefix, is_v6) == self.network
    }
}

fn bits(address: IpAddr) -> (u128, bool) {
    match address.to_canonical() {
        IpAddr::V4(address) => (u128::from(u32::from(address)), false),
        IpAddr::V6(address) => (u128::from(address), true),
    }
}

/// The first `prefix` bits of an address.
fn mask(prefix: u8, is_v6: bool) -> u128 {
    let width: u32 = if is_v6 { 128 } else { 32 };
    let free = width - u32::from(prefix);
    u128::MAX.checked_shl(free).unwrap_or(0)
}

/// `10.0.0.0/8`, `2001:db8::/32`; an address alone is a block of one.
impl FromStr for Block {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is no block of addresses: write 10.0.0.0/8 or 2001:db8::/32");
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let (network, is_v6) = bits(address.parse().map_err(|_| wrong())?);
        let width = if is_v6 { 128 } else { 32 };
        let prefix: u8 = match prefix {
            Some(prefix) => prefix.parse().map_err(|_| wrong())?,
            None => width,
        };
        if prefix > width {
            return Err(wrong());
        }
        Ok(Self { network: network & mask(prefix, is_v6), prefix, is_v6 })
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address: IpAddr = if self.is_v6 {
            IpAddr::V6(self.network.into())
        } else {
            IpAddr::V4(u32::try_from(self.network).unwrap_or_default().into())
        };
        write!(f, "{address}/{}", self.prefix)
    }
}
