//! Rows of indexes past their retention: an hour's files are written again without them.
//!
//! Which indexes a file has rows of is read from its column `index` alone, once: what was found is
//! remembered by path, for files never change. A file that has rows of expired indexes only goes as a
//! whole, unread. The others are copied row by row, read back and compared like a compaction.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array as _, AsArray as _, BooleanArray, RecordBatch, StringArray};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use parquet::arrow::ParquetRecordBatchStreamBuilder;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use schemas::limits::MAX_KNOWN_FILES;
use schemas::log::INDEX;
use schemas::table::Table;

use super::plan;
use super::rewrite::RewriteError;
use crate::table::contents::TableFile;

/// The table whose rows belong to indexes.
pub(super) const TABLE: Table = Table::Logs;

/// Indexes by path of the files that have rows of them.
#[derive(Debug, Default)]
pub(super) struct Known(BTreeMap<String, BTreeSet<String>>);

/// A file that has rows of expired indexes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expired {
    pub(super) file: TableFile,
    /// The indexes whose rows go.
    pub(super) indexes: BTreeSet<String>,
    /// Nothing of it stays.
    pub(super) whole: bool,
}

impl Known {
    /// What is known of a file, once it was read.
    fn of(&self, path: &str) -> Option<&BTreeSet<String>> {
        self.0.get(path)
    }

    /// Forgets files that are not in the table any more, and all of them rather than too many.
    pub(super) fn keep(&mut self, files: &[TableFile]) {
        let there: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
        self.0.retain(|path, _| there.contains(path.as_str()));
        if self.0.len() > MAX_KNOWN_FILES {
            self.0.clear();
        }
    }

    /// Of this file, what goes; reads it if nobody has.
    pub(super) async fn look(
        &mut self,
        store: &Arc<dyn ObjectStore>,
        file: &TableFile,
        expired: &BTreeSet<String>,
    ) -> Result<Option<Expired>, RewriteError> {
        if self.of(&file.path).is_none() {
            let found = indexes_of(store, &file.path).await?;
            self.0.insert(file.path.clone(), found);
        }
        let Some(there) = self.of(&file.path) else { return Ok(None) };
        let indexes: BTreeSet<String> = there.intersection(expired).cloned().collect();
        let whole = indexes.len() == there.len();
        Ok((!indexes.is_empty()).then(|| Expired { file: file.clone(), indexes, whole }))
    }
}

/// The indexes whose rows of an hour are past their retention, oldest hour first.
pub(super) fn expired(
    files: &[TableFile],
    now_millis: i64,
    retention: &BTreeMap<String, Duration>,
) -> Vec<(TableFile, BTreeSet<String>)> {
    let gone = |file: &TableFile| {
        let is_gone = |keeps: &Duration| plan::is_expired(file.hour, now_millis, *keeps);
        let gone = retention.iter().filter(|(_, keeps)| is_gone(keeps));
        gone.map(|(name, _)| name.clone()).collect::<BTreeSet<String>>()
    };
    let mut found: Vec<_> = files.iter().map(|file| (file.clone(), gone(file))).collect();
    found.retain(|(_, gone)| !gone.is_empty());
    found.sort_by(|a, b| (a.0.hour, &a.0.path).cmp(&(b.0.hour, &b.0.path)));
    found
}

/// The rows that are in none of these indexes.
pub(super) fn without(
    rows: &RecordBatch,
    indexes: &BTreeSet<String>,
) -> Result<RecordBatch, ArrowError> {
    let names = names(rows)?;
    let stays: BooleanArray =
        (0..names.len()).map(|row| Some(!indexes.contains(names.value(row)))).collect();
    filter_record_batch(rows, &stays)
}

fn names(rows: &RecordBatch) -> Result<StringArray, ArrowError> {
    let missing = || ArrowError::SchemaError(format!("no column {INDEX}"));
    let column = rows.column_by_name(INDEX).ok_or_else(missing)?;
    Ok(cast(column, &DataType::Utf8)?.as_string::<i32>().clone())
}

/// A file in storage, read range by range.
struct Stored {
    store: Arc<dyn ObjectStore>,
    key: Path,
    size: u64,
}

impl AsyncFileReader for Stored {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        let read = async move {
            let bytes = self.store.get_range(&self.key, range).await;
            bytes.map_err(|error| ParquetError::External(Box::new(error)))
        };
        read.boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        let read = async move {
            let size = self.size;
            ParquetMetaDataReader::new().load_and_finish(self, size).await.map(Arc::new)
        };
        read.boxed()
    }
}

/// The indexes a file has rows of: its one column is fetched, not the file.
async fn indexes_of(
    store: &Arc<dyn ObjectStore>,
    path: &str,
) -> Result<BTreeSet<String>, RewriteError> {
    let key = Path::from(format!("{}/{path}", TABLE.path()));
    let gone = |source| RewriteError::Store { path: key.to_string(), source };
    let size = store.head(&key).await.map_err(gone)?.size;
    let wrap = |source| RewriteError::Parquet { path: key.to_string(), source };
    let reader = Stored { store: Arc::clone(store), key: key.clone(), size };
    let builder = ParquetRecordBatchStreamBuilder::new(reader).await.map_err(wrap)?;
    let columns = ProjectionMask::columns(builder.parquet_schema(), [INDEX]);
    let mut batches = builder.with_projection(columns).build().map_err(wrap)?;
    let mut found = BTreeSet::new();
    while let Some(rows) = batches.try_next().await.map_err(wrap)? {
        let columns = |source| RewriteError::Columns { table: TABLE.name(), source };
        let names = names(&rows).map_err(columns)?;
        for row in 0..names.len() {
            if !found.contains(names.value(row)) {
                found.insert(names.value(row).to_owned());
            }
        }
    }
    Ok(found)
}
