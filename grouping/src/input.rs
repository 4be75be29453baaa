//! An error as grouping sees it.

use schemas::status::Status;

/// Attributes by path: text or nothing. What is no text the caller formats or leaves out.
pub type Lookup<'l, 'b> = &'l dyn Fn(&str) -> Option<&'b str>;

/// No attributes.
pub fn no_attributes<'b>(_: &str) -> Option<&'b str> {
    None
}

/// One error, borrowed from its log or span. Parts it does not have are empty.
#[derive(Debug, Clone, Copy, Default)]
pub struct ErrorInput<'b> {
    /// Unified service tag. Errors of two services are never one issue.
    pub service: &'b str,
    /// Unified service tag; rules may look at it.
    pub env: &'b str,
    /// Unified service tag; rules may look at it.
    pub version: &'b str,
    /// Status of a log.
    pub status: Option<Status>,
    /// Type: `error.kind`, `error.type`, `exception.type`.
    pub kind: &'b str,
    /// Message of the error: `error.message`, `exception.message`.
    pub message: &'b str,
    /// Stack trace: `error.stack`, `exception.stacktrace`; may also be the log's own text.
    pub stack: &'b str,
    /// A fingerprint the error brings itself: `error.fingerprint`.
    pub fingerprint: &'b str,
    /// What the error says where it has no message: the log's text.
    pub text: &'b str,
    /// What failed, where nothing says why: the span's resource.
    pub operation: &'b str,
}
