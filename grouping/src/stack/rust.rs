//! `   3: shop::cart::add` and, on the next line, `at src/cart.rs:12:5`; `thread … panicked at …`.

use super::frame::{Frame, Language, split_location};

/// A line that begins with a digit.
pub(super) fn frame(line: &str) -> Option<Frame<'_>> {
    let (number, name) = line.split_once(": ")?;
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // `0x55d0… - name`, where addresses are printed.
    let name = match name.trim_start().strip_prefix("0x") {
        Some(rest) => rest.split_once(" - ").map_or("", |(_, name)| name),
        None => name.trim_start(),
    };
    let known = !name.is_empty() && (!name.contains(' ') || name.starts_with('<'));
    known.then(|| Frame { function: name.trim_end(), ..Frame::new(Language::Rust) })
}

/// `src/cart.rs:12:5`, of what follows `at `.
pub(super) fn place(rest: &str) -> Option<(&str, &str)> {
    split_location(rest.trim_end())
}

/// What a panic says of itself.
pub(super) struct Panic<'a> {
    /// Its message, where it stands on the same line (before Rust 1.73).
    pub(super) message: &'a str,
    pub(super) file: &'a str,
    pub(super) line: &'a str,
}

/// `thread 'main' panicked at src/main.rs:4:5:` or `… panicked at 'message', src/main.rs:4:5`
pub(super) fn panic(line: &str) -> Option<Panic<'_>> {
    let at = memchr::memmem::find(line.as_bytes(), b"panicked at ")?;
    line[..at].contains("thread '").then_some(())?;
    let rest = line[at + 12..].trim_end();
    let (message, place) = match rest.strip_prefix('\'') {
        Some(quoted) => quoted.rsplit_once("', ")?,
        None => ("", rest.trim_end_matches(':')),
    };
    let (file, line) = split_location(place)?;
    Some(Panic { message, file, line })
}
