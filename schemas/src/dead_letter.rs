//! Table `dead_letters`: what could not be processed, with its reason.

use arrow::datatypes::{DataType, Field};

use crate::table::{lineage, required_text, timestamp};

/// The Kafka timestamp of the message.
pub const TIMESTAMP: &str = "timestamp";
/// `logs`, `spans` or `metrics`.
pub const SIGNAL: &str = "signal";
/// The format it was read as, or the unknown one it claimed.
pub const FORMAT: &str = "format";
/// A short, stable name: `malformed_json`, `invalid_id`, `unknown_format`, ...
pub const REASON: &str = "reason";
/// What exactly was wrong, and where.
pub const DETAIL: &str = "detail";
/// Bytes of the whole payload.
pub const PAYLOAD_BYTES: &str = "payload_bytes";
/// The payload, up to [`crate::limits::MAX_DEAD_LETTER_PAYLOAD_BYTES`].
pub const PAYLOAD: &str = "payload";
/// XXH3-64 of the whole payload, 16 hex characters.
pub const PAYLOAD_HASH: &str = "payload_hash";

/// The columns, in file order. `_index` is -1 where the whole message was refused.
pub fn fields() -> Vec<Field> {
    let mut fields = vec![
        timestamp(TIMESTAMP, false),
        required_text(SIGNAL),
        required_text(FORMAT),
        required_text(REASON),
        required_text(DETAIL),
        Field::new(PAYLOAD_BYTES, DataType::Int64, false),
        Field::new(PAYLOAD, DataType::Binary, true),
        required_text(PAYLOAD_HASH),
    ];
    fields.extend(lineage());
    fields
}
