//! Why a text is no query.

/// What is wrong with a query, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {character}: {reason}")]
pub struct ParseError {
    /// Byte offset in the text.
    pub offset: usize,
    /// The same as a person counts it, from 1.
    pub character: usize,
    /// What is wrong and how to write it.
    pub reason: String,
}

impl ParseError {
    /// At a byte offset of `text`.
    pub(crate) fn new(text: &str, offset: usize, reason: impl Into<String>) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        Self { offset, character: before.chars().count() + 1, reason: reason.into() }
    }
}
