//! Questions to the query engine in this process, and their answers as plain columns.

use arrow::array::{ArrayRef, AsArray as _, BinaryArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use query::engine::{Engine, Limits};
use query::{Answer, QueryError};

use super::range::Walk;

/// Why the tables could not be checked.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// There is nothing to check.
    #[error(
        "there is no ledger in {0}; name the data with --data-dir or --config, or start `tidemill up` first"
    )]
    NoLedger(String),
    /// A table could not be read.
    #[error("cannot read the tables: {0}")]
    Query(#[from] QueryError),
    /// The store.
    #[error(transparent)]
    Store(#[from] stream::store::Error),
    /// An answer without the column that was asked for.
    #[error("the tables are not this version's: {0}")]
    Shape(String),
}

impl AuditError {
    /// Whether a file that a table names is gone: a loss, not a failure to look.
    pub(super) fn is_missing_file(&self) -> bool {
        let Self::Query(error) = self else { return false };
        let text = error.message.to_ascii_lowercase();
        text.contains(".parquet") && (text.contains("not found") || text.contains("no such file"))
    }
}

/// An answer as it comes.
pub(crate) struct Rows(Answer);

/// Asks.
pub(crate) async fn ask(engine: &Engine, sql: &str) -> Result<Rows, AuditError> {
    Ok(Rows(engine.query(sql, Limits::default()).await?))
}

impl Rows {
    /// Notes up to which record the tables are published that the question reads.
    pub(super) fn published(&self, walk: &mut Walk) {
        for coverage in self.0.coverage() {
            walk.published(coverage.table, coverage.published_seq);
        }
    }

    /// The next rows, `None` after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<RecordBatch>, AuditError> {
        Ok(self.0.next().await.transpose()?)
    }
}

fn column(batch: &RecordBatch, name: &str, to: &DataType) -> Result<ArrayRef, AuditError> {
    let column =
        batch.column_by_name(name).ok_or_else(|| AuditError::Shape(format!("no column {name}")))?;
    cast(column, to).map_err(|error| AuditError::Shape(format!("column {name}: {error}")))
}

/// A column of whole numbers.
pub(crate) fn numbers(batch: &RecordBatch, name: &str) -> Result<Int64Array, AuditError> {
    Ok(column(batch, name, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
}

/// A column of text.
pub(crate) fn texts(batch: &RecordBatch, name: &str) -> Result<StringArray, AuditError> {
    Ok(column(batch, name, &DataType::Utf8)?.as_string::<i32>().clone())
}

/// A column of bytes.
pub(crate) fn binaries(batch: &RecordBatch, name: &str) -> Result<BinaryArray, AuditError> {
    Ok(column(batch, name, &DataType::Binary)?.as_binary::<i32>().clone())
}

/// Text as an SQL literal.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
