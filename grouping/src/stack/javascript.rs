//! `at pay (/app/cart.js:1:2)` (V8) and `pay@https://example.org/cart.js:1:2` (Firefox, Safari).

use super::frame::{Frame, Language, split_location, split_number};

/// Of what follows `at `.
pub(super) fn frame(rest: &str) -> Option<Frame<'_>> {
    let frame = Frame::new(Language::JavaScript);
    let Some(inside) = rest.strip_suffix(')') else {
        let (file, line) = twice(rest.strip_prefix("async ").unwrap_or(rest))?;
        let named = file.contains(|c: char| c.is_ascii_alphabetic());
        let known = named && (!file.contains(' ') || file.contains('/'));
        return known.then(|| frame.at(file, line));
    };
    // The first ` (`: file names may hold brackets, too.
    let (name, place) = inside.split_once(" (")?;
    let name = name.strip_prefix("async ").unwrap_or(name);
    let name = name.strip_prefix("new ").unwrap_or(name);
    let name = name.split(" [as ").next().unwrap_or(name);
    let (file, line) = match twice(place) {
        Some(place) => place,
        None if place == "<anonymous>" || place == "native" || place.starts_with("index ") => {
            (place, "0")
        }
        None if place.starts_with("eval at ") => ("<anonymous>", "0"),
        None => return None,
    };
    Some(frame.named(name, ".").at(file, line))
}

/// A line of Firefox or Safari.
pub(super) fn gecko(line: &str) -> Option<Frame<'_>> {
    let (name, place) = line.split_once('@')?;
    let (file, line) = split_location(place)?;
    let url = file.contains("://") || file.starts_with('/') || file == "debugger eval code";
    let named = !name.contains(' ') && !name.contains(':');
    (url && named).then(|| Frame::new(Language::JavaScript).named(name, ".").at(file, line))
}

/// `file:line:column`, both numbers there.
fn twice(text: &str) -> Option<(&str, &str)> {
    split_number(split_number(text)?.0)
}
