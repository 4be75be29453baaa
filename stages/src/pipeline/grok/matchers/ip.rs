//! `ipv4`, `ipv6`, `ip`.

use std::net::Ipv6Addr;

/// Longest IPv6 text: eight groups with an embedded IPv4 address.
const MAX_V6_BYTES: usize = 45;

/// Four octets up to 255, leading zeros allowed, no digit around them.
pub(super) fn v4(text: &str, at: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    if at > 0 && bytes.get(at - 1).is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let mut end = at;
    for octet in 0..4 {
        if octet > 0 {
            end += (bytes.get(end) == Some(&b'.')).then_some(1)?;
        }
        let digits = bytes.get(end..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number: u32 = text.get(end..end + digits)?.parse().ok()?;
        if digits > 3 || number > 255 {
            return None;
        }
        end += digits;
    }
    Some(end)
}

/// The longest text that is an address.
pub(super) fn v6(text: &str, at: usize) -> Option<usize> {
    let bytes = text.as_bytes().get(at..)?;
    let allowed = |byte: &&u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    let length = bytes.iter().take(MAX_V6_BYTES).take_while(allowed).count();
    let head = bytes.get(..length)?;
    if memchr::memchr_iter(b':', head).count() < 2 {
        return None;
    }
    v6_up_to(text, at, at + length)
}

/// The longest address that ends there or before.
pub(super) fn v6_up_to(text: &str, at: usize, end: usize) -> Option<usize> {
    let parses = |end: &usize| text.get(at..*end).is_some_and(|t| t.parse::<Ipv6Addr>().is_ok());
    (at + 2..=end).rev().find(parses)
}

pub(super) const V4: &str =
    r"(?:(?:25[0-5]|2[0-4][0-9]|[01]?[0-9]{1,2})\.){3}(?:25[0-5]|2[0-4][0-9]|[01]?[0-9]{1,2})";
pub(super) const V6: &str =
    r"(?:[A-Fa-f0-9]{0,4}:){2,7}(?:(?:[0-9]{1,3}\.){3}[0-9]{1,3}|[A-Fa-f0-9]{0,4})";
