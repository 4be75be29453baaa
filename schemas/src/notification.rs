//! Table `notifications`: what was sent to whom, and what was not. One row per message once its fate is known.

use arrow::datatypes::{DataType, Field};

use crate::table::{required_text, text, text_list, timestamp};

/// When the fate was known, wall clock.
pub const TIMESTAMP: &str = "timestamp";
/// The idempotency key: the same on every attempt.
pub const ID: &str = "id";
/// `new_issue`, `regression`, `spike`, `high_impact`, `monitor`, or `digest` for several at once.
pub const KIND: &str = "kind";
/// Name of the recipient in the configuration.
pub const RECIPIENT: &str = "recipient";
/// `sent`, `failed` (given up), or `refused` (the target may not be reached, or is not configured any more).
pub const OUTCOME: &str = "outcome";
/// Attempts made.
pub const ATTEMPTS: &str = "attempts";
/// HTTP status of the last answer.
pub const STATUS_CODE: &str = "status_code";
/// What went wrong last.
pub const ERROR: &str = "error";
/// Its one-line summary.
pub const TITLE: &str = "title";
/// When it was decided to send it, by the clock of the records.
pub const CREATED: &str = "created";
/// The issues it tells of.
pub const ISSUE_IDS: &str = "issue_ids";
/// How many alerts it stands for.
pub const ALERTS: &str = "alerts";
/// The body as sent.
pub const BODY: &str = "body";

/// The columns, in file order.
pub fn fields() -> Vec<Field> {
    vec![
        timestamp(TIMESTAMP, false),
        required_text(ID),
        required_text(KIND),
        required_text(RECIPIENT),
        required_text(OUTCOME),
        Field::new(ATTEMPTS, DataType::Int32, false),
        Field::new(STATUS_CODE, DataType::Int32, true),
        text(ERROR),
        required_text(TITLE),
        timestamp(CREATED, false),
        text_list(ISSUE_IDS),
        Field::new(ALERTS, DataType::Int64, false),
        required_text(BODY),
    ]
}
