//! `decodeuricomponent`: percent decoding.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;

/// Decodes `%XX`; what is no UTF-8 afterwards stays as it was.
pub(super) fn decode<'b>(arena: &'b Bump, text: &'b str) -> &'b str {
    if !text.contains('%') {
        return text;
    }
    let mut bytes = BumpVec::with_capacity_in(text.len(), arena);
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
        match (*first, hex(after.first()), hex(after.get(1))) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    std::str::from_utf8(bytes.into_bump_slice()).unwrap_or(text)
}
