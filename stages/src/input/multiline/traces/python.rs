//! Python: `Traceback (most recent call last):`, frames indented by two blanks, then the exception.

use super::{Seen, is_class};

const HEAD: &[u8] = b"Traceback (most recent call last):";

pub(super) fn opens(text: &[u8]) -> bool {
    text.starts_with(HEAD)
}

/// The exception stands right after the frames, without indentation; a chained one has its own head.
pub(super) fn continues(text: &[u8], seen: Seen) -> bool {
    // Ruby 2.5 to 2.7 print under the same head, the oldest frame first.
    let ruby = super::ruby::opens(text);
    text.starts_with(HEAD) || (seen.after_frame && (ruby || is_class(text, &[b""], false)))
}
