//! Rust: `thread 'main' panicked at src/main.rs:2:5:`, the text on the next line, notes, a backtrace.

use super::{Seen, starts_with_any};

pub(super) fn opens(text: &[u8]) -> bool {
    // Since 1.91 the thread's number stands behind its name.
    let has = |part: &[u8]| memchr::memmem::find(text, part).is_some();
    text.starts_with(b"thread '") && (has(b"' panicked at ") || has(b") panicked at "))
}

pub(super) fn continues(text: &[u8], seen: Seen) -> bool {
    let phrase = starts_with_any(
        text,
        &[b"note: ", b"stack backtrace:", b"Stack backtrace:", b"Backtrace:"],
    );
    // Since 1.73 the text of the panic stands on the second line.
    phrase || (seen.lines == 1 && seen.announces)
}
