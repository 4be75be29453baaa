//! ``from /app/cart.rb:12:in `add'`` and, of the first line, `: message (Type)` behind it.

use super::frame::{Frame, Language, split_number};

/// A frame, and the rest of its line.
pub(super) fn frame(line: &str) -> Option<(Frame<'_>, &str)> {
    let line = line.strip_prefix("from ").unwrap_or(line);
    let at = memchr::memmem::find(line.as_bytes(), b":in ")?;
    let (file, number) = split_number(&line[..at])?;
    let rest = &line[at + 4..];
    let name = rest.strip_prefix(['`', '\''])?;
    let end = name.find('\'')?;
    let frame = Frame::new(Language::Ruby).at(file, number);
    // Ruby 3.4 names the class: `Cart#add`.
    let frame = match name[..end].contains('#') {
        true => frame.named(&name[..end], "#"),
        false => Frame { function: &name[..end], ..frame },
    };
    Some((frame, &name[end + 1..]))
}

/// `: message (Type)` as `(Type, message)`.
pub(super) fn error(rest: &str) -> Option<(&str, &str)> {
    let text = rest.strip_prefix(": ")?.trim_end();
    let (message, kind) = text.strip_suffix(')')?.rsplit_once(" (")?;
    (!kind.contains(' ')).then_some((kind, message))
}
