//! Columns -> Parquet files of a unit: one per table and event hour, mixing its partitions.
//!
//! Files get a random name and are written whole before the commit log names them, so a file that
//! no record names is garbage and never seen by a reader.

pub(crate) mod statistics;

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::concat_batches;
use arrow::datatypes::{Field, SchemaRef};
use arrow::error::ArrowError;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use schemas::limits::{MAX_CONCURRENT_FILE_WRITES, MAX_ROW_GROUP_ROWS};
use schemas::table::{DATE, HOUR, Table};
use schemas::time::EventHour;

use crate::backoff::Backoff;
use crate::clock::{Clock, Entropy};
use crate::commit_log::record::FileAdd;
use crate::crash_point::{CrashPoint, pass};
use stages::columns;

/// False positives of a bloom filter: one file in a hundred is read for nothing.
const BLOOM_FALSE_POSITIVES: f64 = 0.01;

/// Rows of one table and event hour.
#[derive(Debug, Clone)]
pub struct FilePlan {
    /// The table.
    pub table: Table,
    /// The event hour.
    pub hour: EventHour,
    /// The rows, as the lanes built them.
    pub batches: Vec<RecordBatch>,
}

/// A file's bytes and what its `add` says about them.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// Parquet.
    pub bytes: Vec<u8>,
    /// Rows.
    pub rows: usize,
    /// Delta statistics, JSON.
    pub stats: String,
}

/// Why rows did not become a file. Not a storage failure: trying again gives the same.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The columns do not fit together.
    #[error("table {table}: cannot put rows together: {source}")]
    Columns {
        /// Its name.
        table: &'static str,
        /// The reason.
        source: ArrowError,
    },
    /// The Parquet writer refused them.
    #[error("table {table}: cannot encode Parquet: {source}")]
    Encode {
        /// Its name.
        table: &'static str,
        /// The reason.
        source: ParquetError,
    },
    /// The encoder ended abnormally.
    #[error("table {table}: the Parquet encoder panicked: {reason}")]
    Panicked {
        /// Its name.
        table: &'static str,
        /// The reason.
        reason: String,
    },
}

/// Rows -> one sorted Parquet file. Pure.
pub fn encode(plan: &FilePlan) -> Result<Encoded, FileError> {
    let table = plan.table;
    let columns_error = |source| FileError::Columns { table: table.name(), source };
    let schema = table.file_schema();
    let rows = concat_batches(&schema, &plan.batches).map_err(columns_error)?;
    let rows = columns::sort(table, &rows).map_err(columns_error)?;
    let mut stats = statistics::Statistics::default();
    stats.add(&rows);
    let stats = stats.json().map_err(columns_error)?;
    let write = || {
        let properties = properties(table, rows.num_rows())?;
        let mut writer = ArrowWriter::try_new(Vec::new(), schema, Some(properties))?;
        writer.write(&rows)?;
        writer.into_inner()
    };
    let bytes = write().map_err(|source| FileError::Encode { table: table.name(), source })?;
    Ok(Encoded { bytes, rows: rows.num_rows(), stats })
}

/// Rows of a file as the table's columns: a column the file was written before reads as null.
///
/// # Errors
/// The file has a column that the table, as this version knows it, has not: rewriting it would lose
/// values. Or a column is of another type, or lacks values it must have.
pub(crate) fn as_table(schema: &SchemaRef, rows: RecordBatch) -> Result<RecordBatch, ArrowError> {
    let (found, mut columns, count) = rows.into_parts();
    if found.fields().len() != schema.fields().len()
        || found.fields().iter().zip(schema.fields()).any(|(a, b)| a.name() != b.name())
    {
        if let Some(foreign) = found.fields().iter().find(|f| schema.index_of(f.name()).is_err()) {
            let name = foreign.name();
            return Err(ArrowError::SchemaError(format!("unknown column {name}")));
        }
        let column = |field: &Arc<Field>| match found.index_of(field.name()) {
            Ok(place) => columns.get(place).cloned(),
            Err(_) => Some(new_null_array(field.data_type(), count)),
        };
        columns = schema.fields().iter().filter_map(column).collect();
    }
    let options = RecordBatchOptions::new().with_row_count(Some(count));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}

/// How every file of a table is written.
pub(crate) fn properties(table: Table, rows: usize) -> Result<WriterProperties, ParquetError> {
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_max_row_group_row_count(Some(MAX_ROW_GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_created_by(concat!("tidemill ", env!("CARGO_PKG_VERSION")).to_owned());
    let distinct = u64::try_from(rows.min(MAX_ROW_GROUP_ROWS)).unwrap_or(u64::MAX).max(1);
    for column in table.bloom_columns() {
        let path = ColumnPath::from(*column);
        builder = builder
            .set_column_bloom_filter_enabled(path.clone(), true)
            .set_column_bloom_filter_fpp(path.clone(), BLOOM_FALSE_POSITIVES)
            .set_column_bloom_filter_max_ndv(path, distinct);
    }
    Ok(builder.build())
}

/// How files are written that only we read, once, from end to end, before they are deleted: in little time.
pub(crate) fn scratch_properties(group_rows: usize) -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_max_row_group_row_count(Some(group_rows))
        .build()
}

/// Writes the files of units.
#[derive(Debug, Clone)]
pub struct FileWriter {
    /// Root of the tables.
    pub store: Arc<dyn ObjectStore>,
    /// For the informational modification time.
    pub clock: Arc<dyn Clock>,
    /// For names.
    pub entropy: Arc<dyn Entropy>,
    /// Between attempts.
    pub backoff: Backoff,
}

impl FileWriter {
    /// Writes every file, a few at once. A store that fails is asked again until it works or the
    /// caller gives up: the unit stays in memory, and intake is held back meanwhile.
    pub async fn write(&self, unit: &str, plans: Vec<FilePlan>) -> Result<Vec<FileAdd>, FileError> {
        let plans = plans.into_iter().filter(|plan| plan.batches.iter().any(|b| b.num_rows() > 0));
        futures::stream::iter(plans.map(|plan| self.write_one(unit, plan)))
            .buffered(MAX_CONCURRENT_FILE_WRITES)
            .try_collect()
            .await
    }

    /// Writes bytes under a name that is ours alone; asks a store that fails again until it works. Overwriting,
    /// not creating: writing it twice is harmless.
    pub(crate) async fn put(&self, key: &Path, bytes: Vec<u8>) {
        let bytes = bytes::Bytes::from(bytes);
        let mut attempt = 0;
        while let Err(error) = self.store.put(key, bytes.clone().into()).await {
            tracing::warn!(%key, attempt, %error, "file not written, trying again");
            self.backoff.pause(attempt, self.entropy.as_ref()).await;
            attempt = attempt.saturating_add(1);
        }
    }

    async fn write_one(&self, unit: &str, plan: FilePlan) -> Result<FileAdd, FileError> {
        let (table, hour) = (plan.table, plan.hour);
        let encoded =
            tokio::task::spawn_blocking(move || encode(&plan)).await.map_err(|error| {
                FileError::Panicked { table: table.name(), reason: error.to_string() }
            })??;
        let path = relative_path(hour, unit, self.entropy.bits());
        let key = Path::from(format!("{}/{path}", table.path()));
        let size = i64::try_from(encoded.bytes.len()).unwrap_or(i64::MAX);
        self.put(&key, encoded.bytes).await;
        pass(CrashPoint::FileWritten);
        Ok(FileAdd {
            table,
            path,
            date: hour.date(),
            hour: hour.hour_of_day(),
            size,
            rows: i64::try_from(encoded.rows).unwrap_or(i64::MAX),
            stats: encoded.stats,
            modified_millis: self.clock.unix_millis(),
        })
    }
}

/// Below the table: `date=2024-04-27/hour=12/part-<unit>-<uuid>.parquet`.
pub(crate) fn relative_path(hour: EventHour, unit: &str, bits: u128) -> String {
    let name = uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid();
    format!("{DATE}={}/{HOUR}={}/part-{unit}-{name}.parquet", hour.date(), hour.hour_of_day())
}

/// A UUID with its hyphens.
const UUID_CHARACTERS: usize = 36;

/// Whether a path below a table is one that [`relative_path`] gives: everything we write into a table is named by
/// it. Spark and delta-rs begin theirs with `part-` as well, but do not end them with the bare UUID.
pub(crate) fn is_ours(path: &str) -> bool {
    let parts = || {
        let (date, rest) = path.strip_prefix(DATE)?.strip_prefix('=')?.split_once('/')?;
        let (hour, name) = rest.strip_prefix(HOUR)?.strip_prefix('=')?.split_once('/')?;
        let name = name.strip_prefix("part-")?.strip_suffix(".parquet")?;
        let (unit, id) = name.split_at_checked(name.len().checked_sub(UUID_CHARACTERS)?)?;
        Some((date, hour, unit, id))
    };
    parts().is_some_and(|(date, hour, unit, id)| {
        let is_hour = hour.parse::<u8>().is_ok_and(|hour| hour < 24);
        let is_unit = unit.ends_with('-') && !unit.contains('/');
        is_hour && is_unit && !date.is_empty() && uuid::Uuid::try_parse(id).is_ok()
    })
}

#[cfg(test)]
mod tests;
