//! A log on its way through the pipeline.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use schemas::id::{SpanId, TraceId};
use schemas::status::Status;
use schemas::time::EventTime;

use crate::errors::ErrorEvent;
use crate::value::Attributes;

/// One log, borrowed from its payload and the batch's arena. Decoders fill what the format itself
/// says; the pipeline's preprocessing and remappers fill the rest from the attributes.
#[derive(Debug, Clone, PartialEq)]
pub struct LogEvent<'b> {
    /// Number within its message, counting refused ones, from 0.
    pub index: i32,
    /// Bytes of the payload this log accounts for.
    pub bytes: usize,
    /// Kafka's timestamp: the time of last resort.
    pub received: EventTime,
    /// Event time, once known.
    pub timestamp: Option<EventTime>,
    /// When the source's collector saw it.
    pub observed: Option<EventTime>,
    /// Unified service tag; empty while unknown.
    pub service: &'b str,
    /// Unified service tag.
    pub env: &'b str,
    /// Unified service tag.
    pub version: &'b str,
    /// Host name.
    pub host: &'b str,
    /// Technology that made it (`ddsource`).
    pub source: &'b str,
    /// Official status, once known.
    pub status: Option<Status>,
    /// The text shown and searched.
    pub message: &'b str,
    /// Trace it belongs to.
    pub trace_id: Option<TraceId>,
    /// Span it belongs to.
    pub span_id: Option<SpanId>,
    /// `key:value` tags.
    pub tags: BumpVec<'b, &'b str>,
    /// Everything else.
    pub attributes: Attributes<'b>,
    /// The error it reports, once the pipeline has looked.
    pub error: Option<&'b ErrorEvent<'b>>,
}

impl<'b> LogEvent<'b> {
    /// An empty log.
    pub fn new_in(arena: &'b Bump, received: EventTime) -> Self {
        Self {
            index: 0,
            bytes: 0,
            received,
            timestamp: None,
            observed: None,
            service: "",
            env: "",
            version: "",
            host: "",
            source: "",
            status: None,
            message: "",
            trace_id: None,
            span_id: None,
            tags: BumpVec::new_in(arena),
            attributes: Attributes::new_in(arena),
            error: None,
        }
    }

    /// Event time: its own, else the collector's, else ours.
    pub fn time(&self) -> EventTime {
        self.timestamp.or(self.observed).unwrap_or(self.received)
    }

    /// The value of the first tag `key:value`.
    pub fn tag(&self, key: &str) -> Option<&'b str> {
        self.tags.iter().find_map(|tag| tag.strip_prefix(key)?.strip_prefix(':'))
    }
}
