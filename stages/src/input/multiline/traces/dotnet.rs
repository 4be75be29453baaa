//! .NET: `System.InvalidOperationException: text`, frames indented by three blanks, `--- End of ...`.

use super::{is_class, starts_with_any};

pub(super) fn opens(text: &[u8]) -> bool {
    let phrase = starts_with_any(text, &[b"Unhandled exception. ", b"Unhandled Exception: "]);
    let named = starts_with_any(text, &[b"System.", b"Microsoft."]);
    phrase || (named && is_class(text, &[b"Exception"], true))
}

pub(super) fn continues(text: &[u8]) -> bool {
    starts_with_any(text, &[b"---> ", b"--- End of ", b"at "])
        || (is_class(text, &[b"Exception"], true))
}
