//! Whole payloads through `decode`.
