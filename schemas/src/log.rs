//! Table `logs`: one row per indexed log.

use arrow::datatypes::{DataType, Field};

use crate::table::{lineage, map, required_text, text, text_list, timestamp};

/// Event time, microseconds.
pub const TIMESTAMP: &str = "timestamp";
/// Event time in nanoseconds where the source has them, else microseconds times 1000.
pub const TIMESTAMP_NS: &str = "timestamp_ns";
/// When the source's collector saw it, else when we received it.
pub const OBSERVED_TIMESTAMP: &str = "observed_timestamp";
/// Unified service tag.
pub const SERVICE: &str = "service";
/// Unified service tag.
pub const ENV: &str = "env";
/// Unified service tag.
pub const VERSION: &str = "version";
/// Host name.
pub const HOST: &str = "host";
/// Technology that made the log (`ddsource`).
pub const SOURCE: &str = "source";
/// One of the nine official statuses ([`crate::status::Status`]).
pub const STATUS: &str = "status";
/// The text shown and searched.
pub const MESSAGE: &str = "message";
/// 32 hex characters.
pub const TRACE_ID: &str = "trace_id";
/// 16 hex characters.
pub const SPAN_ID: &str = "span_id";
/// Type of the error (`error.kind`, `error.type`, `exception.type`).
pub const ERROR_KIND: &str = "error_kind";
/// Message of the error.
pub const ERROR_MESSAGE: &str = "error_message";
/// Stack trace.
pub const ERROR_STACK: &str = "error_stack";
/// Attributes that become [`ERROR_KIND`], the first present wins: Datadog's, then OpenTelemetry's. To
/// a search they are one attribute.
pub const ERROR_KIND_PATHS: &[&str] = &["error.kind", "error.type", "exception.type"];
/// Attributes that become [`ERROR_MESSAGE`].
pub const ERROR_MESSAGE_PATHS: &[&str] = &["error.message", "exception.message"];
/// Attributes that become [`ERROR_STACK`].
pub const ERROR_STACK_PATHS: &[&str] = &["error.stack", "exception.stacktrace"];
/// Issue the error belongs to; null where the log is no error.
pub const ISSUE_ID: &str = "issue_id";
/// Name of the index that keeps it.
pub const INDEX: &str = "index";
/// Everything else, dotted paths to text.
pub const ATTRIBUTES: &str = "attributes";
/// `key:value` tags.
pub const TAGS: &str = "tags";

/// The columns, in file order.
pub fn fields() -> Vec<Field> {
    let mut fields = vec![
        timestamp(TIMESTAMP, false),
        Field::new(TIMESTAMP_NS, DataType::Int64, false),
        timestamp(OBSERVED_TIMESTAMP, true),
        required_text(SERVICE),
        required_text(ENV),
        required_text(VERSION),
        required_text(HOST),
        required_text(SOURCE),
        required_text(STATUS),
        required_text(MESSAGE),
        text(TRACE_ID),
        text(SPAN_ID),
        text(ERROR_KIND),
        text(ERROR_MESSAGE),
        text(ERROR_STACK),
        text(ISSUE_ID),
        required_text(INDEX),
        map(ATTRIBUTES, DataType::Utf8),
        text_list(TAGS),
    ];
    fields.extend(lineage());
    fields
}
