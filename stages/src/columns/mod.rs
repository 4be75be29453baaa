//! Rows -> Arrow columns, one file per table. Builders live as long as the unit they fill.
//!
//! Maps never hold a key twice, null attributes are not stored, and attribute values are cut at
//! [`schemas::limits::MAX_ATTRIBUTE_VALUE_BYTES`] here, at the one place every value passes.

mod dead_letters;
mod error_events;
mod issues;
mod ledger;
mod lineage;
mod logs;
mod metrics;
mod notifications;
mod parts;
mod raw_messages;
mod sketch;
mod span_parts;
mod spans;
#[cfg(test)]
mod tests;

pub use dead_letters::{DeadLetter, DeadLetterColumns};
pub use error_events::ErrorEventColumns;
pub use issues::{IssueColumns, IssueRow};
pub use ledger::{LedgerColumns, LedgerEntry};
pub use lineage::Lineage;
pub use logs::LogColumns;
pub use metrics::MetricColumns;
pub use notifications::{NotificationColumns, NotificationRow};
pub use raw_messages::RawMessageColumns;
pub use spans::SpanColumns;

use std::sync::Arc;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{SortColumn, lexsort_to_indices, take_record_batch};
use arrow::error::ArrowError;
use schemas::table::Table;

/// What all builders have in common; each has a `push` of its own.
pub trait TableColumns: Default + Send {
    /// The table it builds.
    const TABLE: Table;

    /// Rows so far.
    fn rows(&self) -> usize;

    /// Bytes held, roughly: what the unit's byte limit is judged by.
    fn bytes(&self) -> usize;

    /// The rows as one batch of the table's file schema, in the order they were pushed; the
    /// builder is empty afterwards.
    fn finish(&mut self) -> Result<RecordBatch, ArrowError>;
}

/// The batch with its rows in the table's sort order; rows that tie keep their order.
pub fn sort(table: Table, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let rows = u32::try_from(batch.num_rows())
        .map_err(|_| ArrowError::InvalidArgumentError("over 2^32 rows in a unit".to_owned()))?;
    let mut keys = Vec::with_capacity(table.sort_columns().len() + 1);
    for name in table.sort_columns() {
        let values = Arc::clone(batch.column(batch.schema_ref().index_of(name)?));
        keys.push(SortColumn { values, options: None });
    }
    // The kernel is not stable; the row number as the last key makes it so.
    let numbers = Arc::new(UInt32Array::from_iter_values(0..rows));
    keys.push(SortColumn { values: numbers, options: None });
    let order = lexsort_to_indices(&keys, None)?;
    if order.values().iter().zip(0..).all(|(place, row)| *place == row) {
        return Ok(batch.clone());
    }
    take_record_batch(batch, &order)
}
