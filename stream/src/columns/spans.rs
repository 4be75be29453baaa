//! Table `spans`.

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use schemas::table::Table;

use super::{Lineage, TableColumns};
use crate::span::Span;

/// Builder of table `spans`.
#[derive(Debug, Default)]
pub struct SpanColumns {}

impl SpanColumns {
    /// Adds a row.
    pub fn push(&mut self, span: &Span<'_>, lineage: &Lineage<'_>) {
        let _ = (span, lineage);
    }
}

impl TableColumns for SpanColumns {
    const TABLE: Table = Table::Spans;

    fn rows(&self) -> usize {
        0
    }

    fn bytes(&self) -> usize {
        0
    }

    fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        Ok(RecordBatch::new_empty(Table::Spans.file_schema()))
    }
}
