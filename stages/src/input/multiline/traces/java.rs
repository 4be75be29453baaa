//! Java and the JVM: `java.lang.IllegalStateException: text`, then frames behind a tab, `Caused by:`.

use super::{is_class, starts_with_any};

pub(super) fn opens(text: &[u8]) -> bool {
    text.starts_with(b"Exception in thread \"")
        || is_class(text, &[b"Exception", b"Error", b"Throwable", b"Failure"], true)
}

pub(super) fn continues(text: &[u8]) -> bool {
    // Frames without their tab, as some appenders trim them.
    starts_with_any(text, &[b"at ", b"... ", b"Wrapped by: ", b"Dump of "])
        || is_class(text, &[b"Exception", b"Error", b"Throwable"], true)
}
