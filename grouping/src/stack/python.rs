//! `File "/app/cart.py", line 12, in add`

use super::frame::{Frame, Language};

/// A line without its indentation.
pub(super) fn frame(line: &str) -> Option<Frame<'_>> {
    let (file, rest) = line.strip_prefix("File \"")?.split_once('"')?;
    let rest = rest.strip_prefix(", line ")?;
    let (number, function) = rest.split_once(", in ").unwrap_or((rest, ""));
    let mut frame = Frame::new(Language::Python).at(file, number.trim_end());
    frame.function = function.trim_end();
    Some(frame)
}
