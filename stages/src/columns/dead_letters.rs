//! Table `dead_letters`.

use std::fmt::Write;

use arrow::array::{
    BinaryBuilder, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::error::ArrowError;
use schemas::limits::{MAX_DEAD_LETTER_DETAIL_BYTES, MAX_DEAD_LETTER_PAYLOAD_BYTES};
use schemas::table::Table;
use schemas::time::EventTime;
use schemas::topic::Signal;

use super::lineage::LineageColumns;
use super::parts::{self, Held, array, head};
use super::{Lineage, TableColumns};

/// One refused payload or record.
#[derive(Debug, Clone, Copy)]
pub struct DeadLetter<'a> {
    /// Kafka's timestamp of the message.
    pub timestamp: EventTime,
    /// Signal of its topic.
    pub signal: Signal,
    /// Name of the format it was read as.
    pub format: &'a str,
    /// Short stable name.
    pub reason: &'a str,
    /// What exactly was wrong.
    pub detail: &'a str,
    /// Number within the message; -1 for the whole message.
    pub index: i32,
    /// The refused bytes, whole; the builder keeps the first of them.
    pub payload: &'a [u8],
}

/// Builder of table `dead_letters`.
#[derive(Debug, Default)]
pub struct DeadLetterColumns {
    timestamp: TimestampMicrosecondBuilder,
    signal: StringBuilder,
    format: StringBuilder,
    reason: StringBuilder,
    detail: StringBuilder,
    payload_bytes: Int64Builder,
    payload: BinaryBuilder,
    payload_hash: StringBuilder,
    lineage: LineageColumns,
}

impl DeadLetterColumns {
    /// Adds a row.
    pub fn push(&mut self, letter: &DeadLetter<'_>, lineage: &Lineage<'_>) {
        self.timestamp.append_value(letter.timestamp.micros());
        self.signal.append_value(letter.signal.as_str());
        self.format.append_value(letter.format);
        self.reason.append_value(letter.reason);
        self.detail.append_value(head(letter.detail, MAX_DEAD_LETTER_DETAIL_BYTES));
        let payload = letter.payload;
        self.payload_bytes.append_value(i64::try_from(payload.len()).unwrap_or(i64::MAX));
        let kept = payload.get(..MAX_DEAD_LETTER_PAYLOAD_BYTES).unwrap_or(payload);
        self.payload.append_value(kept);
        let hash = xxhash_rust::xxh3::xxh3_64(payload);
        // A builder takes any text; the empty append ends the value.
        let _ = write!(self.payload_hash, "{hash:016x}");
        self.payload_hash.append_value("");
        self.lineage.push(lineage, letter.index);
    }
}

impl TableColumns for DeadLetterColumns {
    const TABLE: Table = Table::DeadLetters;

    fn rows(&self) -> usize {
        self.payload_bytes.values_slice().len()
    }

    fn bytes(&self) -> usize {
        let texts = [&self.signal, &self.format, &self.reason, &self.detail, &self.payload_hash];
        texts.into_iter().map(Held::held).sum::<usize>()
            + self.payload.held()
            + self.lineage.held()
            + self.rows() * 16
    }

    fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let mut columns = vec![
            array(self.timestamp.finish().with_timezone("UTC")),
            array(self.signal.finish()),
            array(self.format.finish()),
            array(self.reason.finish()),
            array(self.detail.finish()),
            array(self.payload_bytes.finish()),
            array(self.payload.finish()),
            array(self.payload_hash.finish()),
        ];
        columns.extend(self.lineage.finish()?);
        parts::batch(Self::TABLE, columns)
    }
}
