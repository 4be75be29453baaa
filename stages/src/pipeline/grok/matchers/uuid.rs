//! `uuid`: 8-4-4-4-12 hexadecimal digits.

/// Where the id at `at` ends.
pub(super) fn end(text: &str, at: usize) -> Option<usize> {
    let id = text.as_bytes().get(at..at + 36)?;
    let fits = id.iter().enumerate().all(|(index, byte)| match index {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    });
    fits.then_some(at + 36)
}

pub(super) const SOURCE: &str = "[A-Fa-f0-9]{8}-(?:[A-Fa-f0-9]{4}-){3}[A-Fa-f0-9]{12}";
