//! A span on its way to the `spans` table: one shape for Datadog and OTLP.

use bumpalo::collections::Vec as BumpVec;
use schemas::id::{SpanId, TraceId};
use schemas::time::EventTime;

use crate::errors::ErrorEvent;
use crate::value::Attributes;

/// One span, borrowed from its payload and the batch's arena, already normalised: every field is
/// what the row says.
#[derive(Debug, Clone, PartialEq)]
pub struct Span<'b> {
    /// Number within its message, counting refused ones, from 0.
    pub index: i32,
    /// Bytes of the payload this span accounts for.
    pub bytes: usize,
    /// Start.
    pub start: EventTime,
    /// Nanoseconds, never negative.
    pub duration_ns: i64,
    /// Trace.
    pub trace_id: TraceId,
    /// Own id.
    pub span_id: SpanId,
    /// `None` for a root.
    pub parent_id: Option<SpanId>,
    /// Unified service tag.
    pub service: &'b str,
    /// Unified service tag.
    pub env: &'b str,
    /// Unified service tag.
    pub version: &'b str,
    /// Host name.
    pub host: &'b str,
    /// Operation.
    pub name: &'b str,
    /// What it worked on.
    pub resource: &'b str,
    /// Datadog span type.
    pub span_type: &'b str,
    /// `server`, `client`, `producer`, `consumer`, `internal` or empty.
    pub kind: &'b str,
    /// Whether it failed.
    pub error: bool,
    /// Type of the error.
    pub error_kind: Option<&'b str>,
    /// Message of the error.
    pub error_message: Option<&'b str>,
    /// Stack trace.
    pub error_stack: Option<&'b str>,
    /// HTTP method.
    pub http_method: Option<&'b str>,
    /// HTTP route template.
    pub http_route: Option<&'b str>,
    /// HTTP status code, 100 to 599.
    pub http_status_code: Option<i32>,
    /// Database system.
    pub db_system: Option<&'b str>,
    /// The service at the other end.
    pub peer_service: Option<&'b str>,
    /// Text attributes.
    pub attributes: Attributes<'b>,
    /// Numeric attributes.
    pub metrics: BumpVec<'b, (&'b str, f64)>,
    /// Links.
    pub links: BumpVec<'b, Link<'b>>,
    /// Events.
    pub events: BumpVec<'b, SpanEvent<'b>>,
    /// The errors it reports, its own first, once the pipeline has looked.
    pub errors: BumpVec<'b, ErrorEvent<'b>>,
}

/// A link to another span.
#[derive(Debug, Clone, PartialEq)]
pub struct Link<'b> {
    /// Trace of the other span.
    pub trace_id: TraceId,
    /// The other span.
    pub span_id: SpanId,
    /// W3C trace state, possibly empty.
    pub tracestate: &'b str,
    /// Attributes.
    pub attributes: Attributes<'b>,
}

/// Something that happened during a span.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanEvent<'b> {
    /// When.
    pub time: EventTime,
    /// What.
    pub name: &'b str,
    /// Attributes.
    pub attributes: Attributes<'b>,
}
