//! Node: `TypeError: text` and indented frames; an uncaught one shows file, source and a caret before.

use super::{Seen, is_class};

pub(super) fn opens(text: &[u8]) -> bool {
    is_error(text) || is_place(text)
}

/// `Error: x`, `TypeError: x`, `AssertionError [ERR_ASSERTION]: x`, `Uncaught ...`
fn is_error(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"Uncaught ").unwrap_or(text);
    let coded =
        memchr::memmem::find(text, b" [ERR_").is_some_and(|at| text[..at].ends_with(b"Error"));
    coded || is_class(text, &[b"Error"], false)
}

/// `/app/index.js:12`, `file:///app/index.mjs:12`, `node:internal/process:12`
pub(super) fn is_place(text: &[u8]) -> bool {
    let digits = text.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let Some(path) = text[..text.len() - digits].strip_suffix(b":") else { return false };
    let script = [&b".js"[..], b".mjs", b".cjs", b".ts"].iter().any(|end| path.ends_with(end));
    digits > 0 && !path.contains(&b' ') && (script || path.starts_with(b"node:"))
}

pub(super) fn continues(text: &[u8], seen: Seen) -> bool {
    let phrase = super::starts_with_any(
        text,
        &[b"Node.js v", b"Emitted 'error' event", b"(Use `node --trace", b"}", b"]", b"^"],
    );
    // An uncaught one: the line of source, a caret, a blank line, the error.
    phrase || (seen.announces && (seen.lines == 1 || (seen.lines <= 6 && is_error(text))))
}
