//! Files of one hour -> one sorted file with the same rows. Nothing refers to the new file yet; it
//! is read back and compared before anything does.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::error::ArrowError;
use futures::TryStreamExt as _;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt as _};
use parquet::arrow::async_writer::AsyncArrowWriter;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use schemas::limits::MERGE_BATCH_BYTES;
use schemas::table::Table;
use schemas::time::EventHour;
use tokio_util::sync::CancellationToken;

use super::fingerprint::Fingerprint;
use super::indexes;
use super::input::Stored;
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

/// Files that became one.
pub(super) struct Merged {
    /// Those that were taken of the group asked for.
    pub(super) group: Group,
    /// The new one.
    pub(super) add: FileAdd,
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
    /// reads it back; compares. Takes as many files, from the first on, as `room`, in bytes, is enough for.
    pub(super) async fn merge(
        &self,
        table: Table,
        group: &Group,
        gone: &BTreeSet<String>,
        room: usize,
    ) -> Result<Merged, RewriteError> {
        let columns = |source| RewriteError::Columns { table: table.name(), source };
        let store = self.store.as_ref();
        let stored = Stored::fetch_some(store, table, &group.files, room).await?;
        let files = group.files.get(..stored.len()).unwrap_or_default();
        let group = Group { hour: group.hour, files: files.to_vec() };
        // What is decoded at once is shared among the files.
        let share = MERGE_BATCH_BYTES / stored.len().max(1);
        let inputs = stored.into_iter().map(|file| file.read(share)).collect::<Result<_, _>>()?;
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
        let add = self.add(table, name, group.hour, (size, rows), &stats)?;
        Ok(Merged { group, add })
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
        let mut input = self.read(table, &file.path).await?;
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

    /// The rows of a file, as the table's columns.
    async fn read(&self, table: Table, path: &str) -> Result<Input, RewriteError> {
        Stored::fetch(self.store.as_ref(), table, path).await?.read(MERGE_BATCH_BYTES)
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

    /// Begins a file of the table.
    pub(crate) fn create(
        &self,
        table: Table,
        name: &str,
        properties: WriterProperties,
    ) -> Result<Output, RewriteError> {
        let key = Path::from(format!("{}/{name}", table.path()));
        Output::create(Arc::clone(&self.store), table, key, properties)
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
        let mut input = self.read(table, name).await?;
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

/// A file being written.
pub(crate) struct Output {
    writer: AsyncArrowWriter<BufWriter>,
    key: Path,
    store: Arc<dyn ObjectStore>,
}

impl Output {
    /// Begins a file with rows of the table, which may lie anywhere.
    pub(crate) fn create(
        store: Arc<dyn ObjectStore>,
        table: Table,
        key: Path,
        properties: WriterProperties,
    ) -> Result<Self, RewriteError> {
        let wrap = |source| RewriteError::Parquet { path: key.to_string(), source };
        let upload = BufWriter::with_capacity(Arc::clone(&store), key.clone(), UPLOAD_PART_BYTES);
        let schema = table.file_schema();
        let writer = AsyncArrowWriter::try_new(upload, schema, Some(properties)).map_err(wrap)?;
        Ok(Self { writer, key, store })
    }

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
