//! What goes wrong when bytes are read, and text out of bytes: shared by msgpack and protobuf.

use bumpalo::Bump;
use bumpalo::collections::String as BumpString;

use super::Refusal;

/// Why bytes could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub(super) struct WireError {
    /// Short stable name: `truncated`, `malformed_msgpack`, `malformed_protobuf`, `too_deep`.
    pub(super) reason: &'static str,
    /// What was found or expected.
    pub(super) what: &'static str,
    /// Where in the payload.
    pub(super) at: usize,
}

impl WireError {
    pub(super) fn refusal<'b>(self, arena: &'b Bump) -> Refusal<'b> {
        Refusal::whole(arena, self.reason, format_args!("{self}"))
    }
}

/// Bytes as text: borrowed where they are UTF-8, else a copy with U+FFFD for what is not.
pub(super) fn text<'b>(arena: &'b Bump, bytes: &'b [u8]) -> &'b str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => BumpString::from_utf8_lossy_in(bytes, arena).into_bump_str(),
    }
}

/// The longest head of `text` of at most `max` bytes that ends at a character boundary.
pub(super) fn head(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

/// Lower-case hex.
pub(super) fn hex<'b>(arena: &'b Bump, bytes: &[u8]) -> &'b str {
    let mut out = BumpString::with_capacity_in(bytes.len() * 2, arena);
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            out.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
    }
    out.into_bump_str()
}

/// Base64 with padding (RFC 4648 section 4): how bytes stand in attributes.
pub(super) fn base64<'b>(arena: &'b Bump, bytes: &[u8]) -> &'b str {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = BumpString::with_capacity_in(bytes.len().div_ceil(3) * 4, arena);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - chunk.len()));
        for digit in 0..4 {
            let place = (bits >> (18 - 6 * digit) & 63) as usize;
            out.push(if digit <= chunk.len() { char::from(DIGITS[place]) } else { '=' });
        }
    }
    out.into_bump_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_follows_the_vectors_of_rfc_4648() {
        let arena = Bump::new();
        for (bytes, wanted) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(&arena, bytes.as_bytes()), wanted);
        }
        assert_eq!(hex(&arena, &[0, 0xab]), "00ab");
    }

    #[test]
    fn bad_utf8_keeps_its_good_parts() {
        let arena = Bump::new();
        assert_eq!(text(&arena, b"a\xffb"), "a\u{fffd}b");
        assert_eq!(head("aé", 2), "a");
    }
}
