//! Table `metrics`.

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use schemas::table::Table;

use super::{Lineage, TableColumns};
use crate::point::Point;

/// Builder of table `metrics`.
#[derive(Debug, Default)]
pub struct MetricColumns {}

impl MetricColumns {
    /// Adds a row.
    pub fn push(&mut self, point: &Point<'_>, lineage: &Lineage<'_>) {
        let _ = (point, lineage);
    }
}

impl TableColumns for MetricColumns {
    const TABLE: Table = Table::Metrics;

    fn rows(&self) -> usize {
        0
    }

    fn bytes(&self) -> usize {
        0
    }

    fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        Ok(RecordBatch::new_empty(Table::Metrics.file_schema()))
    }
}
