//! Payload bytes -> logs, spans or points, or a refusal. One file per format.
//!
//! A payload is decoded whole or refused whole, except that a single record inside a well-formed
//! payload can be refused on its own ([`Decoded::refused`]): nothing is dropped silently.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use schemas::topic::{Format, Signal};

use crate::event::LogEvent;
use crate::point::Point;
use crate::record::Record;
use crate::span::Span;

/// What one payload held.
#[derive(Debug)]
pub struct Decoded<'b> {
    /// The good records.
    pub items: Items<'b>,
    /// The bad ones.
    pub refused: BumpVec<'b, Refusal<'b>>,
}

/// Records of one signal.
#[derive(Debug)]
pub enum Items<'b> {
    /// Logs.
    Logs(BumpVec<'b, LogEvent<'b>>),
    /// Spans.
    Spans(BumpVec<'b, Span<'b>>),
    /// Points.
    Points(BumpVec<'b, Point<'b>>),
}

/// Why a payload, or one record of it, becomes a dead letter.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal<'b> {
    /// Number within the message; -1 for the whole message.
    pub index: i32,
    /// Short stable name: `malformed_json`, `truncated`, `invalid_id`, `too_deep`, ...
    pub reason: &'static str,
    /// What exactly was wrong, and where.
    pub detail: &'b str,
    /// The refused bytes; empty stands for the whole payload.
    pub bytes: &'b [u8],
}

/// Decodes one message. The format is the `content-type` header's, else the topic's.
pub fn decode<'b>(
    arena: &'b Bump,
    record: &'b Record,
    signal: Signal,
    topic_format: Format,
) -> Result<Decoded<'b>, Refusal<'b>> {
    let _ = (arena, record, signal, topic_format);
    unimplemented!("decode")
}
