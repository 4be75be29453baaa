//! `hostname`, `ipOrHost`, `hostPort`: labels of up to 63 letters, digits, `-`, `_`, joined by dots.

use super::number;
use crate::pipeline::grok::class::{word_at, word_before};

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
            Some(_) => return bounded(text, end).then_some(end),
            None => return Some(end + 1),
        }
    }
    if bounded(text, end) { Some(end) } else { shorter(text, at, end) }
}

/// The next shorter name: it ends at the edge of a word or with a dot.
pub(super) fn shorter(text: &str, at: usize, end: usize) -> Option<usize> {
    (at + 1..end).rev().find(|end| bounded(text, *end))
}

/// `name:port`.
pub(super) fn with_port(text: &str, at: usize) -> Option<usize> {
    let end = end(text, at)?;
    (text.as_bytes().get(end) == Some(&b':')).then(|| number::port(text, end + 1)).flatten()
}

fn bounded(text: &str, end: usize) -> bool {
    let dot = end > 0 && text.as_bytes().get(end - 1) == Some(&b'.');
    dot || (text.is_char_boundary(end) && word_before(text, end) != word_at(text, end))
}

fn label(bytes: &[u8], at: usize) -> Option<usize> {
    bytes.get(at).filter(|byte| byte.is_ascii_alphanumeric())?;
    let inside = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let rest = bytes.get(at..).unwrap_or_default();
    Some(at + rest.iter().take(MAX_LABEL_BYTES).take_while(inside).count())
}

pub(super) const SOURCE: &str =
    r"\b[0-9A-Za-z][0-9A-Za-z_-]{0,62}(?:\.[0-9A-Za-z][0-9A-Za-z_-]{0,62})*(?:\.|\b)";
