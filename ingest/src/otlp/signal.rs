//! What differs between traces, logs and metrics: names, how an item is keyed, what makes it invalid.

use schemas::id::{SpanId, TraceId};
use schemas::topic::Signal;

use super::schema;
use crate::counters::Endpoint;
use crate::protobuf::{Fields, Malformed, Value, put_bytes, wrap};

/// One signal.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) signal: Signal,
    /// The request.
    pub(super) request: &'static schema::Message,
    /// A span, log record or metric.
    pub(super) item: &'static schema::Message,
    pub(super) resource_name: &'static str,
    pub(super) scope_name: &'static str,
    pub(super) item_name: &'static str,
    /// JSON name of the count in `partialSuccess`.
    pub(super) rejected_name: &'static str,
    /// Looks at a checked item.
    pub(super) examine: fn(&[u8]) -> Result<Found, Malformed>,
    /// Takes an item that is too large apart into smaller ones, each with its number of records.
    pub(super) parts: fn(&[u8], usize) -> Result<Vec<Piece>, Malformed>,
    /// In counters.
    pub(super) grpc: Endpoint,
    pub(super) http: Endpoint,
}

/// A smaller item cut from one that was too large, and its number of records.
pub(super) type Piece = (Vec<u8>, usize);

/// What an item turned out to be.
pub(super) struct Found {
    /// The trace it belongs to.
    pub(super) key: Option<TraceId>,
    /// Spans, log records or data points.
    pub(super) records: usize,
    /// Why it is refused, if it is.
    pub(super) fault: Option<String>,
}

/// Traces.
pub(super) static TRACES: Shape = Shape {
    signal: Signal::Spans,
    request: &schema::TRACES,
    item: &schema::SPAN,
    resource_name: "resource_spans",
    scope_name: "scope_spans",
    item_name: "spans",
    rejected_name: "rejectedSpans",
    examine: span,
    parts: whole,
    grpc: Endpoint::GrpcTraces,
    http: Endpoint::HttpTraces,
};

/// Logs.
pub(super) static LOGS: Shape = Shape {
    signal: Signal::Logs,
    request: &schema::LOGS,
    item: &schema::LOG_RECORD,
    resource_name: "resource_logs",
    scope_name: "scope_logs",
    item_name: "log_records",
    rejected_name: "rejectedLogRecords",
    examine: log,
    parts: whole,
    grpc: Endpoint::GrpcLogs,
    http: Endpoint::HttpLogs,
};

/// Metrics.
pub(super) static METRICS: Shape = Shape {
    signal: Signal::Metrics,
    request: &schema::METRICS,
    item: &schema::METRIC,
    resource_name: "resource_metrics",
    scope_name: "scope_metrics",
    item_name: "metrics",
    rejected_name: "rejectedDataPoints",
    examine: metric,
    parts: points,
    grpc: Endpoint::GrpcMetrics,
    http: Endpoint::HttpMetrics,
};

/// The last length-delimited field of this number, as decoders read a field given twice.
fn last(bytes: &[u8], number: u32) -> Result<&[u8], Malformed> {
    let mut found: &[u8] = &[];
    for field in Fields::of(bytes) {
        let field = field?;
        if let (true, Value::Bytes(value)) = (field.number == number, field.value) {
            found = value;
        }
    }
    Ok(found)
}

/// Ids of a wrong length or all zeros are invalid (OTLP, Span): such a span belongs to no trace.
fn span(bytes: &[u8]) -> Result<Found, Malformed> {
    let (trace, span) = (last(bytes, 1)?, last(bytes, 2)?);
    let key = TraceId::from_bytes(trace);
    let fault = match (key, SpanId::from_bytes(span)) {
        (None, _) => Some(bad_id("trace_id", trace, 16)),
        (_, None) => Some(bad_id("span_id", span, 8)),
        _ => None,
    };
    Ok(Found { key, records: 1, fault })
}

fn bad_id(name: &str, id: &[u8], wanted: usize) -> String {
    if id.len() == wanted {
        format!("a span's {name} is all zeros")
    } else {
        format!("a span's {name} has {} bytes instead of {wanted}", id.len())
    }
}

/// A log record with an invalid id has no trace context; it is a good record.
fn log(bytes: &[u8]) -> Result<Found, Malformed> {
    Ok(Found { key: TraceId::from_bytes(last(bytes, 9)?), records: 1, fault: None })
}

fn metric(bytes: &[u8]) -> Result<Found, Malformed> {
    let mut records = 0;
    for field in Fields::of(bytes) {
        let field = field?;
        if let (true, Value::Bytes(data)) = (is_data(field.number), field.value) {
            for field in Fields::of(data) {
                records += usize::from(field?.number == 1);
            }
        }
    }
    Ok(Found { key: None, records, fault: None })
}

/// gauge, sum, histogram, exponential_histogram, summary.
fn is_data(number: u32) -> bool {
    matches!(number, 5 | 7 | 9 | 10 | 11)
}

fn whole(bytes: &[u8], _room: usize) -> Result<Vec<(Vec<u8>, usize)>, Malformed> {
    Ok(vec![(bytes.to_vec(), 1)])
}

/// One metric as several with some of its data points each.
fn points(bytes: &[u8], room: usize) -> Result<Vec<(Vec<u8>, usize)>, Malformed> {
    /// Tags and lengths around the points.
    const FRAME: usize = 32;
    let (mut head, mut number, mut data_head, mut all) = (Vec::new(), 5, Vec::new(), Vec::new());
    for field in Fields::of(bytes) {
        let field = field?;
        match field.value {
            Value::Bytes(data) if is_data(field.number) => {
                number = field.number;
                for field in Fields::of(data) {
                    let field = field?;
                    match field.value {
                        Value::Bytes(point) if field.number == 1 => all.push(point),
                        _ => data_head.extend_from_slice(field.raw),
                    }
                }
            }
            _ => head.extend_from_slice(field.raw),
        }
    }
    let room = room.saturating_sub(head.len() + data_head.len() + FRAME);
    let mut parts = Vec::new();
    let mut rest = all.as_slice();
    while !rest.is_empty() {
        let mut size = 0;
        let fitting = rest.iter().take_while(|point| {
            size += point.len() + 8;
            size <= room
        });
        let count = fitting.count().max(1);
        let (now, later) = rest.split_at(count.min(rest.len()));
        rest = later;
        let mut part = head.clone();
        let start = part.len();
        part.extend_from_slice(&data_head);
        now.iter().for_each(|point| put_bytes(&mut part, 1, point));
        wrap(&mut part, start, number);
        parts.push((part, count));
    }
    Ok(parts)
}
