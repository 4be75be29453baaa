//! The lines of a stack trace, within bounds.

use schemas::limits::{MAX_STACK_BYTES, MAX_STACK_TAIL_BYTES};

/// The separator that stands for a line break where a trace was put on one line.
const ESCAPED: &str = "\\n";

/// Whether line breaks are written as `\n`: some loggers escape twice.
pub(super) fn is_escaped(text: &[u8]) -> bool {
    memchr::memmem::find(text, ESCAPED.as_bytes()).is_some()
}

/// The text in at most two parts: a trace's ends matter, a million recursions between them do not.
pub(super) fn parts(text: &str) -> [&str; 2] {
    if text.len() <= MAX_STACK_BYTES {
        return [text, ""];
    }
    let head = text.floor_char_boundary(MAX_STACK_BYTES - MAX_STACK_TAIL_BYTES);
    let tail = text.ceil_char_boundary(text.len() - MAX_STACK_TAIL_BYTES);
    // The cut goes through two lines: both halves are no lines.
    let head = text[..head].rfind('\n').unwrap_or(head);
    let tail = text[tail..].find('\n').map_or(text.len(), |at| tail + at + 1);
    [&text[..head], &text[tail..]]
}

/// The lines of `text`.
pub(super) fn of(text: &str) -> impl Iterator<Item = &str> {
    let escaped = !text.contains('\n') && is_escaped(text.as_bytes());
    let (real, escaped) = if escaped { ("", text) } else { (text, "") };
    let escaped = escaped.split(ESCAPED).filter(|line| !line.is_empty());
    real.lines().chain(escaped.map(|line| {
        // A tab escaped in the same way.
        line.strip_prefix("\\t").unwrap_or(line)
    }))
}
