//! Table `spans`: one row per span, whatever protocol brought it.

use arrow::datatypes::{DataType, Field, Fields};

use crate::table::{lineage, list_item, map, map_entries, required_text, text, timestamp};

/// Start, microseconds.
pub const TIMESTAMP: &str = "timestamp";
/// Start, nanoseconds since the epoch.
pub const START_NS: &str = "start_ns";
/// Duration in nanoseconds, never negative.
pub const DURATION_NS: &str = "duration_ns";
/// 32 hex characters.
pub const TRACE_ID: &str = "trace_id";
/// 16 hex characters.
pub const SPAN_ID: &str = "span_id";
/// 16 hex characters; empty for a root.
pub const PARENT_ID: &str = "parent_id";
/// Unified service tag.
pub const SERVICE: &str = "service";
/// Unified service tag.
pub const ENV: &str = "env";
/// Unified service tag.
pub const VERSION: &str = "version";
/// Host name.
pub const HOST: &str = "host";
/// Operation name (Datadog `name`; for OTLP the name derived as the Datadog exporter does).
pub const NAME: &str = "name";
/// What the operation worked on (Datadog `resource`; OTLP span name).
pub const RESOURCE: &str = "resource";
/// Datadog span type: web, http, db, cache, queue, custom, ...
pub const TYPE: &str = "type";
/// `server`, `client`, `producer`, `consumer`, `internal` or empty.
pub const KIND: &str = "kind";
/// Whether the span failed.
pub const ERROR: &str = "error";
/// Type of the error.
pub const ERROR_KIND: &str = "error_kind";
/// Message of the error.
pub const ERROR_MESSAGE: &str = "error_message";
/// Stack trace.
pub const ERROR_STACK: &str = "error_stack";
/// Issue the error belongs to, of several the span's own; null without one.
pub const ISSUE_ID: &str = "issue_id";
/// HTTP method.
pub const HTTP_METHOD: &str = "http_method";
/// HTTP route template.
pub const HTTP_ROUTE: &str = "http_route";
/// HTTP status code.
pub const HTTP_STATUS_CODE: &str = "http_status_code";
/// Database system.
pub const DB_SYSTEM: &str = "db_system";
/// The service at the other end.
pub const PEER_SERVICE: &str = "peer_service";
/// Text attributes, resource attributes included; dotted paths.
pub const ATTRIBUTES: &str = "attributes";
/// Numeric attributes (Datadog `metrics`; OTLP int and double attributes are also in `attributes`).
pub const METRICS: &str = "metrics";
/// Links: `list<struct<trace_id, span_id, tracestate, attributes>>`.
pub const LINKS: &str = "links";
/// Events: `list<struct<time_ns, name, attributes>>`.
pub const EVENTS: &str = "events";

/// Fields of one link.
pub fn link_fields() -> Fields {
    Fields::from(vec![
        required_text("trace_id"),
        required_text("span_id"),
        text("tracestate"),
        Field::new("attributes", DataType::Map(map_entries(DataType::Utf8), false), true),
    ])
}

/// Fields of one event.
pub fn event_fields() -> Fields {
    Fields::from(vec![
        Field::new("time_ns", DataType::Int64, false),
        required_text("name"),
        Field::new("attributes", DataType::Map(map_entries(DataType::Utf8), false), true),
    ])
}

/// The columns, in file order.
pub fn fields() -> Vec<Field> {
    let mut fields = vec![
        timestamp(TIMESTAMP, false),
        Field::new(START_NS, DataType::Int64, false),
        Field::new(DURATION_NS, DataType::Int64, false),
        required_text(TRACE_ID),
        required_text(SPAN_ID),
        required_text(PARENT_ID),
        required_text(SERVICE),
        required_text(ENV),
        required_text(VERSION),
        required_text(HOST),
        required_text(NAME),
        required_text(RESOURCE),
        required_text(TYPE),
        required_text(KIND),
        Field::new(ERROR, DataType::Boolean, false),
        text(ERROR_KIND),
        text(ERROR_MESSAGE),
        text(ERROR_STACK),
        text(ISSUE_ID),
        text(HTTP_METHOD),
        text(HTTP_ROUTE),
        Field::new(HTTP_STATUS_CODE, DataType::Int32, true),
        text(DB_SYSTEM),
        text(PEER_SERVICE),
        map(ATTRIBUTES, DataType::Utf8),
        map(METRICS, DataType::Float64),
        Field::new(LINKS, DataType::List(list_item(DataType::Struct(link_fields()))), true),
        Field::new(EVENTS, DataType::List(list_item(DataType::Struct(event_fields()))), true),
    ];
    fields.extend(lineage());
    fields
}
