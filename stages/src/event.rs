//! A log on its way through the pipeline.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use schemas::id::{SpanId, TraceId};
use schemas::limits::MAX_PIPELINE_ERRORS;
use schemas::status::Status;
use schemas::time::EventTime;

use crate::errors::ErrorEvent;
use crate::value::Attributes;

/// What a stage could not do on a log, for its `pipeline_errors`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PipelineError<'b> {
    /// Type and name of the processor.
    pub processor: &'b str,
    /// Why not.
    pub reason: &'b str,
}

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
    /// What stages could not do.
    pub errors: BumpVec<'b, PipelineError<'b>>,
    /// Numbers of the scanner rules that matched, each once.
    pub sensitive: BumpVec<'b, u16>,
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
            errors: BumpVec::new_in(arena),
            sensitive: BumpVec::new_in(arena),
            error: None,
        }
    }

    /// Notes that `processor` could not do its work. Beyond [`MAX_PIPELINE_ERRORS`] it is only noted
    /// that there was more.
    pub fn fail(&mut self, arena: &'b Bump, processor: &str, reason: &'static str) {
        if self.errors.len() < MAX_PIPELINE_ERRORS {
            let last = self.errors.len() + 1 == MAX_PIPELINE_ERRORS;
            let reason = if last { "further errors are left out" } else { reason };
            self.errors.push(PipelineError { processor: arena.alloc_str(processor), reason });
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
