//! Table `error_issue_history`: what became of every issue, one row per change; and `error_issues`, the last
//! row of each issue, which the query service shows as a table of its own. Another engine asks for it with
//! `row_number() OVER (PARTITION BY issue_id ORDER BY _seq DESC) = 1`.
//!
//! Counts alone change too: such rows have the change `counted`, and come every few seconds for issues that
//! errors come for. The row's `timestamp` is the time of the change by the clock of the records.

use arrow::datatypes::{DataType, Field};

use crate::table::{map, required_text, text, text_list, timestamp};

/// SQL name of the view with the last row of every issue.
pub const CURRENT: &str = "error_issues";

/// When it changed.
pub const TIMESTAMP: &str = "timestamp";
/// The issue.
pub const ISSUE_ID: &str = "issue_id";
/// What changed: `created`, `counted`, `regressed`, `spiking`, `calmed`, `high_impact`, `auto_resolved`, the
/// decisions `review`, `ignore`, `resolve`, `exclude`, `reopen`, `merge`, `split`, or `regrouped`.
pub const CHANGE: &str = "change";
/// Who decided; empty where nobody had to.
pub const DECIDED_BY: &str = "decided_by";
/// Why.
pub const REASON: &str = "reason";
/// Unified service tag.
pub const SERVICE: &str = "service";
/// Type of the error.
pub const ERROR_KIND: &str = "error_kind";
/// Message of its first error.
pub const ERROR_MESSAGE: &str = "error_message";
/// The function and file its first error comes from.
pub const CULPRIT: &str = "culprit";
/// `for_review`, `reviewed`, `ignored`, `resolved` or `excluded`.
pub const STATE: &str = "state";
/// Since when it is in that state.
pub const STATE_SINCE: &str = "state_since";
/// Event time of its earliest error.
pub const FIRST_SEEN: &str = "first_seen";
/// Event time of its latest error.
pub const LAST_SEEN: &str = "last_seen";
/// Version of the earliest.
pub const FIRST_VERSION: &str = "first_version";
/// Version of the latest.
pub const LAST_VERSION: &str = "last_version";
/// Errors.
pub const EVENTS: &str = "events";
/// Of these, those that came late or by a replay.
pub const LATE_EVENTS: &str = "late_events";
/// Users affected; exact up to [`crate::limits::MAX_EXACT_AFFECTED`], an estimate above.
pub const USERS: &str = "users";
/// Batches affected, in the same way.
pub const BATCHES: &str = "batches";
/// Errors per version; what is over [`crate::limits::MAX_ISSUE_VALUES`] is `__overflow__`.
pub const VERSIONS: &str = "versions";
/// Errors per environment.
pub const ENVS: &str = "envs";
/// Errors per host.
pub const HOSTS: &str = "hosts";
/// Errors per UTC hour, the latest 48 hours, by `2026-03-02T14`.
pub const HOURLY: &str = "hourly";
/// When it was last resolved.
pub const RESOLVED_AT: &str = "resolved_at";
/// When it last came back after that.
pub const REGRESSED_AT: &str = "regressed_at";
/// In which version.
pub const REGRESSED_VERSION: &str = "regressed_version";
/// Since when more of it come than usual; null while they do not.
pub const SPIKING_SINCE: &str = "spiking_since";
/// All ids that grouping gave its errors, its own among them: `error_events.issue_id` is one of these.
pub const ALIASES: &str = "aliases";
/// The issue it became a part of; null while it is one of its own.
pub const MERGED_INTO: &str = "merged_into";
/// Errors spread over time and versions, as `topic/partition/offset/index` in `error_events`.
pub const SAMPLES: &str = "samples";
/// Order of the rows: of two rows of an issue the one with the larger number is the later.
pub const SEQ: &str = "_seq";

/// The columns, in file order.
pub fn fields() -> Vec<Field> {
    vec![
        timestamp(TIMESTAMP, false),
        required_text(ISSUE_ID),
        required_text(CHANGE),
        required_text(DECIDED_BY),
        required_text(REASON),
        required_text(SERVICE),
        required_text(ERROR_KIND),
        required_text(ERROR_MESSAGE),
        required_text(CULPRIT),
        required_text(STATE),
        timestamp(STATE_SINCE, false),
        timestamp(FIRST_SEEN, false),
        timestamp(LAST_SEEN, false),
        required_text(FIRST_VERSION),
        required_text(LAST_VERSION),
        Field::new(EVENTS, DataType::Int64, false),
        Field::new(LATE_EVENTS, DataType::Int64, false),
        Field::new(USERS, DataType::Int64, false),
        Field::new(BATCHES, DataType::Int64, false),
        map(VERSIONS, DataType::Int64),
        map(ENVS, DataType::Int64),
        map(HOSTS, DataType::Int64),
        map(HOURLY, DataType::Int64),
        timestamp(RESOLVED_AT, true),
        timestamp(REGRESSED_AT, true),
        text(REGRESSED_VERSION),
        timestamp(SPIKING_SINCE, true),
        text_list(ALIASES),
        text(MERGED_INTO),
        text_list(SAMPLES),
        Field::new(SEQ, DataType::Int64, false),
    ]
}
