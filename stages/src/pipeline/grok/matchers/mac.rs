//! `mac`: `xxxx.xxxx.xxxx` (Cisco), `xx-xx-xx-xx-xx-xx` (Windows), `xx:xx:xx:xx:xx:xx`.

/// Where the address at `at` ends.
pub(super) fn end(text: &str, at: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    [(14, 5, b'.'), (17, 3, b'-'), (17, 3, b':')].into_iter().find_map(|(length, group, mark)| {
        let address = bytes.get(at..at + length)?;
        let fits = address.iter().enumerate().all(|(index, byte)| match index % group {
            last if last == group - 1 => *byte == mark,
            _ => byte.is_ascii_hexdigit(),
        });
        fits.then_some(at + length)
    })
}

pub(super) const SOURCE: &str = r"(?:(?:[A-Fa-f0-9]{4}\.){2}[A-Fa-f0-9]{4}|(?:[A-Fa-f0-9]{2}-){5}[A-Fa-f0-9]{2}|(?:[A-Fa-f0-9]{2}:){5}[A-Fa-f0-9]{2})";
