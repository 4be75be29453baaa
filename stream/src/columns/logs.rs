//! Table `logs`.

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use schemas::table::Table;

use super::{Lineage, TableColumns};
use crate::event::LogEvent;

/// Builder of table `logs`.
#[derive(Debug, Default)]
pub struct LogColumns {}

impl LogColumns {
    /// Adds a row.
    pub fn push(&mut self, event: &LogEvent<'_>, index: &str, lineage: &Lineage<'_>) {
        let _ = (event, index, lineage);
    }
}

impl TableColumns for LogColumns {
    const TABLE: Table = Table::Logs;

    fn rows(&self) -> usize {
        0
    }

    fn bytes(&self) -> usize {
        0
    }

    fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        Ok(RecordBatch::new_empty(Table::Logs.file_schema()))
    }
}
