//! `doubleQuotedString`, `singleQuotedString`, `quotedString`: quotes belong to the match.

/// Where the string at `at` ends.
pub(super) fn end(text: &str, at: usize, single: bool, double: bool) -> Option<usize> {
    let bytes = text.as_bytes();
    let quote = *bytes.get(at)?;
    let opens = (quote == b'"' && double) || (quote == b'\'' && single);
    let inside = opens.then(|| bytes.get(at + 1..)).flatten()?;
    memchr::memchr(quote, inside).map(|length| at + length + 2)
}

pub(super) fn source(single: bool, double: bool) -> &'static str {
    match (single, double) {
        (true, true) => r#"(?:"[^"]*"|'[^']*')"#,
        (true, false) => "'[^']*'",
        _ => r#""[^"]*""#,
    }
}
