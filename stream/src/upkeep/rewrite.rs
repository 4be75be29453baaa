//! Files of one hour -> one sorted file with the same rows. Nothing refers to the new file yet; it
//! is read back and compared before anything does.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::error::ArrowError;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt as _};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::async_writer::AsyncArrowWriter;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::properties::WriterProperties;
use schemas::limits::{
    MAX_READ_BATCH_BYTES, MERGE_BATCH_BYTES, MERGE_BATCH_ROWS, MERGE_CONCURRENT_READS,
};
use schemas::table::Table;
use schemas::time::EventHour;
use tokio_util::sync::CancellationToken;

use super::fingerprint::Fingerprint;
use super::indexes;
use super::merge::{Input, Merge, Order};
use super::plan::Group;
use crate::clock::{Clock, Entropy};
use crate::commit_log::record::FileAdd;
use crate::files;
use crate::files::statistics::Statistics;
use crate::table::contents::TableFile;

/// Bytes held back before an upload begins; smaller files are one request.
const UPLOAD_PART_BYTES: usize = 16 << 20;

/// Why files were not put together. Nothing has changed; what was written is garbage.
#[derive(Debug, thiserror::Error)]
pub enum RewriteError {
    /// Reading or writing failed.
    #[error("{path}: {source}")]
    Parquet {
        /// The file.
        path: String,
        /// The reason.
        source: ParquetError,
    },
    /// The store failed.
    #[error("{path}: {source}")]
    Store {
        /// The file.
        path: String,
        /// The reason.
        source: StoreError,
    },
    /// Rows do not fit the table.
    #[error("table {table}: {source}")]
    Columns {
        /// Its name.
        table: &'static str,
        /// The reason.
        source: ArrowError,
    },
    /// The new file does not hold the rows of the old ones.
    #[error(
        "table {table}, {path}: {found} rows were read back, {expected} were expected, or their values differ; the table is unchanged"
    )]
    Differs {
        /// Its name.
        table: &'static str,
        /// The new file.
        path: String,
        /// What the old files hold.
        expected: u64,
        /// What the new file holds.
        found: u64,
    },
    /// The process ends.
    #[error("stopped")]
    Stopped,
    /// The work ended abnormally.
    #[error("compaction panicked: {0}")]
    Panicked(tokio::task::JoinError),
}

/// What rewriting needs of the world.
#[derive(Debug, Clone)]
pub(crate) struct Rewriter {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) stop: CancellationToken,
}

/// Which rows stay, of those of a file.
pub(crate) type Keeps = dyn Fn(&RecordBatch) -> Result<BooleanArray, ArrowError> + Send + Sync;

impl Rewriter {
    /// Writes the rows of the group's files, merged, into a new file, but for those of `gone` indexes;
    /// reads it back; compares.
    pub(super) async fn merge(
        &self,
        table: Table,
        group: &Group,
        gone: &BTreeSet<String>,
    ) -> Result<FileAdd, RewriteError> {
        let columns = |source| RewriteError::Columns { table: table.name(), source };
        // What is decoded at once is shared among the files.
        let share = MERGE_BATCH_BYTES / group.files.len().max(1);
        let inputs = futures::stream::iter(&group.files)
            .map(|file| self.read(table, &file.path, share))
            .buffered(MERGE_CONCURRENT_READS)
            .try_collect()
            .await?;
        let mut merge = Merge::open(table, Order::File, inputs).await.map_err(columns)?;
        let what = if gone.is_empty() { "compact" } else { "retain" };
        let name = files::relative_path(group.hour, what, self.entropy.bits());
        let properties = self.properties(table, &name, group.rows())?;
        let mut output = self.create(table, &name, properties)?;
        let done = self.copy(table, &mut merge, gone, &mut output).await;
        let (fingerprint, stats) = match done {
            Ok(done) => done,
            Err(error) => {
                output.abandon().await;
                return Err(error);
            }
        };
        let size = output.finish().await?;
        let copied = i64::try_from(fingerprint.rows).unwrap_or(i64::MAX);
        let rows = if gone.is_empty() { group.rows() } else { copied };
        self.compare(table, &name, rows, fingerprint).await?;
        self.add(table, name, group.hour, (size, rows), &stats)
    }

    /// Writes those rows of a file that stay into a new file, in their order; reads it back; compares. `rows` of
    /// them must stay.
    pub(crate) async fn keep(
        &self,
        table: Table,
        file: &TableFile,
        rows: i64,
        keeps: &Keeps,
    ) -> Result<FileAdd, RewriteError> {
        let columns = |source| RewriteError::Columns { table: table.name(), source };
        let mut input = self.read(table, &file.path, MERGE_BATCH_BYTES).await?;
        let name = files::relative_path(file.hour, "keep", self.entropy.bits());
        let properties = self.properties(table, &name, rows)?;
        let mut output = self.create(table, &name, properties)?;
        let copy = async {
            let (mut fingerprint, mut stats) = (Fingerprint::default(), Statistics::default());
            while let Some(batch) = input.try_next().await.map_err(columns)? {
                if self.stop.is_cancelled() {
                    return Err(RewriteError::Stopped);
                }
                let kept = keeps(&batch).and_then(|kept| filter_record_batch(&batch, &kept));
                let kept = kept.map_err(columns)?;
                fingerprint.add(&kept).map_err(columns)?;
                stats.add(&kept);
                output.write(&kept).await?;
            }
            Ok((fingerprint, stats))
        };
        let (fingerprint, stats) = match copy.await {
            Ok(done) => done,
            Err(error) => {
                output.abandon().await;
                return Err(error);
            }
        };
        let size = output.finish().await?;
        self.compare(table, &name, rows, fingerprint).await?;
        self.add(table, name, file.hour, (size, rows), &stats)
    }

    /// What the log says of a new file.
    pub(crate) fn add(
        &self,
        table: Table,
        path: String,
        hour: EventHour,
        (size, rows): (u64, i64),
        stats: &Statistics,
    ) -> Result<FileAdd, RewriteError> {
        let columns = |source| RewriteError::Columns { table: table.name(), source };
        Ok(FileAdd {
            table,
            path,
            date: hour.date(),
            hour: hour.hour_of_day(),
            size: i64::try_from(size).unwrap_or(i64::MAX),
            rows,
            stats: stats.json().map_err(columns)?,
            modified_millis: self.clock.unix_millis(),
        })
    }

    async fn copy(
        &self,
        table: Table,
        merge: &mut Merge,
        gone: &BTreeSet<String>,
        output: &mut Output,
    ) -> Result<(Fingerprint, Statistics), RewriteError> {
        let columns = |source| RewriteError::Columns { table: table.name(), source };
        let (mut fingerprint, mut stats) = (Fingerprint::default(), Statistics::default());
        while let Some(mut rows) = merge.next().await.map_err(columns)? {
            if !gone.is_empty() {
                rows = indexes::without(&rows, gone).map_err(columns)?;
            }
            if self.stop.is_cancelled() {
                return Err(RewriteError::Stopped);
            }
            fingerprint.add(&rows).map_err(columns)?;
            stats.add(&rows);
            output.write(&rows).await?;
        }
        Ok((fingerprint, stats))
    }

    /// The rows of a file, as the table's columns; `share` bounds the bytes of a batch. The file
    /// is held as it is stored; its rows are decoded batch by batch.
    async fn read(&self, table: Table, path: &str, share: usize) -> Result<Input, RewriteError> {
        let key = Path::from(format!("{}/{path}", table.path()));
        let missing = |source| RewriteError::Store { path: key.to_string(), source };
        let bytes = self.store.get(&key).await.map_err(missing)?.bytes().await.map_err(missing)?;
        let wrap = |source| RewriteError::Parquet { path: key.to_string(), source };
        let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(wrap)?;
        let groups = builder.metadata().row_groups();
        let bytes: i64 = groups.iter().map(decoded_bytes).sum();
        let rows: i64 = groups.iter().map(|group| group.num_rows()).sum();
        let row_bytes = usize::try_from(bytes / rows.max(1)).unwrap_or(0).max(1);
        let batch = (share.min(MAX_READ_BATCH_BYTES) / row_bytes).clamp(1, MERGE_BATCH_ROWS);
        let reader = builder.with_batch_size(batch).build().map_err(wrap)?;
        let schema = table.file_schema();
        let rows = reader.map(move |batch| files::as_table(&schema, batch?));
        Ok(futures::stream::iter(rows).boxed())
    }

    /// How a new file of so many rows is written.
    pub(crate) fn properties(
        &self,
        table: Table,
        name: &str,
        rows: i64,
    ) -> Result<WriterProperties, RewriteError> {
        let wrap = |source| RewriteError::Parquet { path: name.to_owned(), source };
        files::properties(table, usize::try_from(rows).unwrap_or(0)).map_err(wrap)
    }

    /// Begins a file.
    pub(crate) fn create(
        &self,
        table: Table,
        name: &str,
        properties: WriterProperties,
    ) -> Result<Output, RewriteError> {
        let key = Path::from(format!("{}/{name}", table.path()));
        let wrap = |source| RewriteError::Parquet { path: key.to_string(), source };
        let upload =
            BufWriter::with_capacity(Arc::clone(&self.store), key.clone(), UPLOAD_PART_BYTES);
        let schema = table.file_schema();
        let writer = AsyncArrowWriter::try_new(upload, schema, Some(properties)).map_err(wrap)?;
        Ok(Output { writer, key, store: Arc::clone(&self.store) })
    }

    /// The new file, read from storage, must hold as many rows as it should, and those that were
    /// read from the old ones.
    pub(crate) async fn compare(
        &self,
        table: Table,
        name: &str,
        rows: i64,
        expected: Fingerprint,
    ) -> Result<(), RewriteError> {
        let columns = |source| RewriteError::Columns { table: table.name(), source };
        let mut input = self.read(table, name, MERGE_BATCH_BYTES).await?;
        let mut found = Fingerprint::default();
        while let Some(rows) = input.try_next().await.map_err(columns)? {
            if self.stop.is_cancelled() {
                return Err(RewriteError::Stopped);
            }
            found.add(&rows).map_err(columns)?;
        }
        if found != expected || i64::try_from(found.rows) != Ok(rows) {
            return Err(RewriteError::Differs {
                table: table.name(),
                path: name.to_owned(),
                expected: u64::try_from(rows).unwrap_or(0),
                found: found.rows,
            });
        }
        Ok(())
    }
}

/// About what the rows of a group take in memory. Encoded sizes say little of it: a value that is repeated costs next to
/// nothing there, and its length in every row here.
fn decoded_bytes(group: &RowGroupMetaData) -> i64 {
    /// Of a value's own: a number, or an offset and its share of what says which are null.
    const VALUE: i64 = 8;
    let column = |column: &ColumnChunkMetaData| {
        let text = column.unencoded_byte_array_data_bytes();
        let text = text.unwrap_or_else(|| column.uncompressed_size());
        text.saturating_add(column.num_values().saturating_mul(VALUE))
    };
    group.columns().iter().map(column).sum()
}

/// A file being written.
pub(crate) struct Output {
    writer: AsyncArrowWriter<BufWriter>,
    key: Path,
    store: Arc<dyn ObjectStore>,
}

impl Output {
    pub(crate) async fn write(&mut self, rows: &RecordBatch) -> Result<(), RewriteError> {
        let key = &self.key;
        let wrap = |source| RewriteError::Parquet { path: key.to_string(), source };
        self.writer.write(rows).await.map_err(wrap)
    }

    /// Bytes so far, about.
    pub(crate) fn bytes(&self) -> usize {
        self.writer.bytes_written() + self.writer.in_progress_size()
    }

    /// Completes the file; its size.
    pub(crate) async fn finish(self) -> Result<u64, RewriteError> {
        let Self { writer, key, store } = self;
        writer
            .close()
            .await
            .map_err(|source| RewriteError::Parquet { path: key.to_string(), source })?;
        let meta = store.head(&key).await;
        let wrap = |source| RewriteError::Store { path: key.to_string(), source };
        meta.map(|meta| meta.size).map_err(wrap)
    }

    /// Gives up an unfinished upload.
    pub(crate) async fn abandon(self) {
        let mut upload = self.writer.into_inner();
        if let Err(error) = upload.abort().await {
            tracing::debug!(key = %self.key, %error, "unfinished upload not aborted");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::System;
    use crate::fixture::log_rows;
    use object_store::memory::InMemory;

    #[tokio::test]
    async fn batches_of_rows_that_repeat_are_as_small_in_memory_as_those_of_others() {
        const SHARE: usize = 256 << 10;
        let system = System::shared();
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let (clock, entropy) = (system.clone(), system);
        let rewriter = Rewriter { store, clock, entropy, stop: CancellationToken::new() };
        let long = "service ".repeat(50);
        let rows = log_rows(&vec![long.as_str(); 20_000], 0);
        let properties = rewriter.properties(Table::Logs, "f", 20_000).expect("properties");
        let mut output = rewriter.create(Table::Logs, "f", properties).expect("begins");
        output.write(&rows).await.expect("writes");
        let size = output.finish().await.expect("finishes");
        assert!(size < 400_000, "{size} bytes for 8 MB: they repeat");
        let mut input = rewriter.read(Table::Logs, "f", SHARE).await.expect("opens");
        let mut found = 0;
        while let Some(batch) = input.try_next().await.expect("reads") {
            let bytes = batch.get_array_memory_size();
            assert!(bytes < 2 * SHARE, "{} rows in {bytes} bytes", batch.num_rows());
            found += batch.num_rows();
        }
        assert_eq!(found, 20_000);
    }
}
