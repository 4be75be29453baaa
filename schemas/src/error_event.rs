//! Table `error_events`: one row per error, taken from every log and span ingested, before exclusion and
//! sampling. The counts of issues are counts of these rows.
//!
//! Flood control: of each issue and version a unit keeps [`crate::limits::MAX_CONTEXT_EVENTS`] rows with all
//! their context. Further ones are rows too, so that counts stay exact, but without stack, message, attributes
//! and tags: [`CONTEXT`] is false there.

use arrow::datatypes::{DataType, Field};

use crate::table::{lineage, map, required_text, text, text_list, timestamp};

/// Event time: of the log, or of the span's exception.
pub const TIMESTAMP: &str = "timestamp";
/// The same in nanoseconds since the epoch.
pub const TIMESTAMP_NS: &str = "timestamp_ns";
/// Unified service tag.
pub const SERVICE: &str = "service";
/// Unified service tag.
pub const ENV: &str = "env";
/// Unified service tag.
pub const VERSION: &str = "version";
/// Host name.
pub const HOST: &str = "host";
/// `log` or `span`: the table the error was taken from has the same lineage.
pub const SIGNAL: &str = "signal";
/// Technology that made it (`ddsource`).
pub const SOURCE: &str = "source";
/// Type of the error.
pub const ERROR_KIND: &str = "error_kind";
/// Message of the error.
pub const ERROR_MESSAGE: &str = "error_message";
/// Stack trace.
pub const ERROR_STACK: &str = "error_stack";
/// The function and file it comes from, where its stack trace tells.
pub const CULPRIT: &str = "culprit";
/// What grouping made of it: the issue it belongs to is the one that has this id among its `aliases`.
pub const ISSUE_ID: &str = "issue_id";
/// 32 hex characters: its neighbours in `logs` and `spans` have the same.
pub const TRACE_ID: &str = "trace_id";
/// 16 hex characters.
pub const SPAN_ID: &str = "span_id";
/// Who met it: the attribute that `error_tracking.user_attribute` names.
pub const USER_ID: &str = "user_id";
/// The batch it happened in: the attribute that `error_tracking.batch_attribute` names.
pub const BATCH_ID: &str = "batch_id";
/// Whether the row has its context: false where only its occurrence is kept.
pub const CONTEXT: &str = "context";
/// The log line, where it is not the error's message.
pub const MESSAGE: &str = "message";
/// Everything else, dotted paths to text.
pub const ATTRIBUTES: &str = "attributes";
/// `key:value` tags.
pub const TAGS: &str = "tags";

/// The columns, in file order.
pub fn fields() -> Vec<Field> {
    let mut fields = vec![
        timestamp(TIMESTAMP, false),
        Field::new(TIMESTAMP_NS, DataType::Int64, false),
        required_text(SERVICE),
        required_text(ENV),
        required_text(VERSION),
        required_text(HOST),
        required_text(SIGNAL),
        required_text(SOURCE),
        required_text(ERROR_KIND),
        required_text(ERROR_MESSAGE),
        required_text(CULPRIT),
        text(ERROR_STACK),
        required_text(ISSUE_ID),
        text(TRACE_ID),
        text(SPAN_ID),
        text(USER_ID),
        text(BATCH_ID),
        Field::new(CONTEXT, DataType::Boolean, false),
        text(MESSAGE),
        map(ATTRIBUTES, DataType::Utf8),
        text_list(TAGS),
    ];
    fields.extend(lineage());
    fields
}
