//! Rows of Parquet files as streams: fetched group by group, so that memory does not follow the size of files.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::ObjectStore;
use object_store::path::Path;
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};
use schemas::table::Table;

use super::ReplayError;
use super::covered::{self, Bounds, Covered};
use super::object::Object;
use crate::files;
use crate::table::contents::TableFile;
use crate::table::delta::PublishedTable;

/// Batches of one file.
pub type Rows = BoxStream<'static, Result<RecordBatch, ArrowError>>;

/// All columns of a file, as the table's schema has them.
///
/// # Errors
/// The file is not there, or no Parquet.
pub async fn whole(
    store: &Arc<dyn ObjectStore>,
    table: Table,
    path: &str,
    batch: usize,
) -> Result<Rows, ReplayError> {
    whole_at(store, table, &Path::from(format!("{}/{path}", table.path())), batch).await
}

/// The same of a file that lies anywhere.
///
/// # Errors
/// The file is not there, or no Parquet.
pub(super) async fn whole_at(
    store: &Arc<dyn ObjectStore>,
    table: Table,
    key: &Path,
    batch: usize,
) -> Result<Rows, ReplayError> {
    let schema = table.file_schema();
    let rows = open(store, key, None, batch).await?;
    Ok(rows.map(move |rows| files::as_table(&schema, rows?)).boxed())
}

/// The columns that say where rows come from.
async fn lineage(
    store: &Arc<dyn ObjectStore>,
    table: Table,
    path: &str,
) -> Result<Rows, ReplayError> {
    let key = Path::from(format!("{}/{path}", table.path()));
    open(store, &key, Some(&covered::lineage_columns(table)), 1 << 16).await
}

async fn open(
    store: &Arc<dyn ObjectStore>,
    key: &Path,
    columns: Option<&[&str]>,
    batch: usize,
) -> Result<Rows, ReplayError> {
    let wrap = |source: parquet::errors::ParquetError| ReplayError::Parquet {
        path: key.to_string(),
        source,
    };
    let reader = Object { store: Arc::clone(store), key: key.clone() };
    let mut builder = ParquetRecordBatchStreamBuilder::new(reader).await.map_err(wrap)?;
    if let Some(columns) = columns {
        let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
        builder = builder.with_projection(mask);
    }
    let rows = builder.with_batch_size(batch.max(1)).build().map_err(wrap)?;
    let name = key.to_string();
    let wrap = move |error| ArrowError::ParquetError(format!("{name}: {error}"));
    Ok(rows.map_err(wrap).boxed())
}

/// A file with covered rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Affected {
    /// The file.
    pub file: TableFile,
    /// How many of its rows are covered; at least one.
    pub covered: i64,
}

/// The files of the table's version last read that hold covered rows.
///
/// # Errors
/// A file can not be read.
pub async fn affected(
    store: &Arc<dyn ObjectStore>,
    table: &PublishedTable,
    covered: &Covered,
) -> Result<Vec<Affected>, ReplayError> {
    let mut found = Vec::new();
    if covered.is_empty() {
        return Ok(found);
    }
    for (file, statistics) in table.contents_with_statistics()? {
        let bounds = Bounds::read(table.table(), statistics.as_deref());
        if !covered.may_be_in(&bounds) {
            continue;
        }
        let mut count = 0;
        let mut rows = lineage(store, table.table(), &file.path).await?;
        while let Some(batch) = rows.try_next().await? {
            count += covered.mask(table.table(), &batch)?.true_count();
        }
        if count > 0 {
            found.push(Affected { file, covered: i64::try_from(count).unwrap_or(i64::MAX) });
        }
    }
    // The same order for every reader, whatever the table's own.
    found.sort_by(|a, b| (a.file.hour, &a.file.path).cmp(&(b.file.hour, &b.file.path)));
    Ok(found)
}
