//! `hostname`, `ipOrHost`, `hostPort`: labels of up to 63 letters, digits, `-`, `_`, joined by dots.

use super::number;
use crate::pipeline::grok::class::word_before;

const MAX_LABEL_BYTES: usize = 63;
/// Bytes of a whole name: DNS has no longer ones (RFC 1035), and trying shorter ones stays cheap.
const MAX_NAME_BYTES: usize = 255;

/// Where the longest name at `at` ends, the dot of a fully qualified name included.
pub(super) fn end(text: &str, at: usize) -> Option<usize> {
    if word_before(text, at) {
        return None;
    }
    let bytes = text.as_bytes();
    let mut end = label(bytes, at)?;
    while bytes.get(end) == Some(&b'.') {
        match label(bytes, end + 1) {
            Some(next) if next - at <= MAX_NAME_BYTES => end = next,
            Some(_) => return Some(end),
            None => return Some(end + 1),
        }
    }
    Some(end)
}

/// The next shorter name: every head of a name is one.
pub(super) fn shorter(at: usize, end: usize) -> Option<usize> {
    (end > at + 1).then(|| end - 1)
}

/// `name:port`.
pub(super) fn with_port(text: &str, at: usize) -> Option<usize> {
    let end = end(text, at)?;
    (text.as_bytes().get(end) == Some(&b':')).then(|| number::port(text, end + 1)).flatten()
}

fn label(bytes: &[u8], at: usize) -> Option<usize> {
    bytes.get(at).filter(|byte| byte.is_ascii_alphanumeric())?;
    let inside = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let rest = bytes.get(at..).unwrap_or_default();
    Some(at + rest.iter().take(MAX_LABEL_BYTES).take_while(inside).count())
}

pub(super) const SOURCE: &str =
    r"\b[0-9A-Za-z][0-9A-Za-z_-]{0,62}(?:\.[0-9A-Za-z][0-9A-Za-z_-]{0,62})*\.?";
