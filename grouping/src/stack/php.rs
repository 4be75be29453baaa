//! `#0 /app/Cart.php(12): Acme\Cart->add('x')`
//!
//! PHP prints the place of a call beside the function that is called; the parser moves the places
//! down by one, so that a frame's file is the one its function stands in.

use super::frame::{Frame, Language};

/// Of what follows `#N `.
pub(super) fn frame(rest: &str) -> Option<Frame<'_>> {
    let frame = Frame::new(Language::Php);
    if rest == "{main}" {
        return Some(Frame { function: rest, ..frame });
    }
    let (place, call) = match rest.strip_prefix("[internal function]: ") {
        Some(call) => ("", call),
        None => {
            let at = memchr::memmem::find(rest.as_bytes(), b"): ")?;
            (&rest[..at], &rest[at + 3..])
        }
    };
    let (file, line) = place.rsplit_once('(').unwrap_or((place, "0"));
    if !place.is_empty() && !line.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let name = call.split('(').next().unwrap_or(call);
    let separator = if name.contains("->") { "->" } else { "::" };
    Some(frame.named(name, separator).at(file, line))
}

/// ` in /app/Cart.php:12` at the end of a header, as `(message, file, line)`.
pub(super) fn place(message: &str) -> Option<(&str, &str, &str)> {
    let (message, place) = message.rsplit_once(" in ")?;
    let (file, line) = super::frame::split_number(place.trim_end())?;
    file.contains(".php").then_some((message, file, line))
}
