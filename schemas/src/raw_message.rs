//! Table `raw_messages`: Kafka messages as they came, kept so that what was excluded can be brought back, or all
//! be replayed, when Kafka does not have them any more. It follows the setting `worker.keep_raw`.

use arrow::datatypes::{DataType, Field};

use crate::table::{lineage, map, required_text, timestamp};

/// The Kafka timestamp of the message.
pub const TIMESTAMP: &str = "timestamp";
/// `logs`, `spans` or `metrics`.
pub const SIGNAL: &str = "signal";
/// How many of its events were excluded.
pub const EXCLUDED: &str = "excluded";
/// The headers, of a name that occurs twice the last.
pub const HEADERS: &str = "headers";
/// The payload, whole.
pub const PAYLOAD: &str = "payload";

/// The columns, in file order. `_index` is -1: a row is a whole message.
pub fn fields() -> Vec<Field> {
    let mut fields = vec![
        timestamp(TIMESTAMP, false),
        required_text(SIGNAL),
        Field::new(EXCLUDED, DataType::Int64, false),
        map(HEADERS, DataType::Utf8),
        Field::new(PAYLOAD, DataType::Binary, false),
    ];
    fields.extend(lineage());
    fields
}
