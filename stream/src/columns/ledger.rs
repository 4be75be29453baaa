//! Table `ledger`.

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use schemas::table::Table;

use super::{Lineage, TableColumns};
use schemas::ledger::Action;
use schemas::time::EventTime;
use schemas::topic::Signal;

/// One row of the ledger; column meanings: `schemas::ledger`.
#[derive(Debug, Clone, Copy)]
pub struct LedgerEntry<'a> {
    /// Latest Kafka timestamp of the unit's messages of this partition.
    pub timestamp: EventTime,
    /// Signal of the topic.
    pub signal: Signal,
    /// What was done.
    pub action: Action,
    /// The rule that acted.
    pub rule: &'a str,
    /// Unified service tag.
    pub service: &'a str,
    /// Events.
    pub events: i64,
    /// Their bytes as they came.
    pub bytes: i64,
    /// Messages in the range, on `received` rows.
    pub messages: i64,
    /// First offset of the range.
    pub from_offset: i64,
    /// One past the last.
    pub to_offset: i64,
}

/// Builder of table `ledger`.
#[derive(Debug, Default)]
pub struct LedgerColumns {}

impl LedgerColumns {
    /// Adds a row.
    pub fn push(&mut self, entry: &LedgerEntry<'_>, lineage: &Lineage<'_>) {
        let _ = (entry, lineage);
    }
}

impl TableColumns for LedgerColumns {
    const TABLE: Table = Table::Ledger;

    fn rows(&self) -> usize {
        0
    }

    fn bytes(&self) -> usize {
        0
    }

    fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        Ok(RecordBatch::new_empty(Table::Ledger.file_schema()))
    }
}
